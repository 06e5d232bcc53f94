"""Rows of another cluster that are dropped no longer set the place from where the change log is read (F-51, Q-01).

Two weeks after a backup was restored, such a place stood above every transaction of the new cluster: each receiver was sent
everything, over and over, and nothing new.
"""

from alembic import op

from hub.db.partitions import UNDELIVERED_CDRS, dropping

revision = "0021_floor_of_this_cluster"
down_revision = "0020_revoked_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in dropping(spared=UNDELIVERED_CDRS):
        op.execute(statement)
    op.execute("DELETE FROM change_log_floor WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())")
