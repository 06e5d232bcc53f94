"""Changes of Tokens are found without reading the log, as revoked ones go first (promises section 2, B-10)."""

from alembic import op

revision = "0020_revoked_tokens"
down_revision = "0019_undelivered_cdrs_stay"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX change_log_tokens ON change_log (xid, seq) WHERE module = 'tokens'")
