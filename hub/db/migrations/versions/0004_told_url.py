"""Which of our public URLs a platform was told, and when to tell it the present one again."""

from alembic import op

revision = "0004_told_url"
down_revision = "0003_lists"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE platform
            ADD COLUMN told_url text,
            ADD COLUMN renewal_url text,
            ADD COLUMN renewal_attempts integer NOT NULL DEFAULT 0,
            ADD COLUMN renew_after timestamptz
        """
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE platform DROP COLUMN told_url, DROP COLUMN renewal_url, "
        "DROP COLUMN renewal_attempts, DROP COLUMN renew_after"
    )
