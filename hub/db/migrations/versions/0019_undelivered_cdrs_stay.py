"""A month in which a guaranteed CDR is not delivered is not dropped: its body is what is still to be posted."""

from alembic import op

from hub.db.partitions import UNDELIVERED_CDRS, dropping

revision = "0019_undelivered_cdrs_stay"
down_revision = "0018_cdr_attempts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in dropping(spared=UNDELIVERED_CDRS):
        op.execute(statement)
