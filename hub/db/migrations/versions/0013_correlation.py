"""The correlation id of the push that made an object's version, so that any process delivers it under that id (X-91)."""

from alembic import op

revision = "0013_correlation"
down_revision = "0011_pulls"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The previous version of the program writes rows without it."""
    op.execute("ALTER TABLE kept_object ADD COLUMN correlation_id text NOT NULL DEFAULT ''")
