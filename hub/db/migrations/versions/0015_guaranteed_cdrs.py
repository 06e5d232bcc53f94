"""CDRs whose delivery the hub owns: what is due, what was refused, and why (promises section 2, `guaranteed`)."""

from alembic import op

revision = "0015_guaranteed_cdrs"
down_revision = "0013_correlation"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE cdr_delivery
        ADD COLUMN guaranteed boolean NOT NULL DEFAULT false,
        ADD COLUMN next_attempt_at timestamptz,
        ADD COLUMN refusals integer NOT NULL DEFAULT 0,
        ADD COLUMN correlation_id text NOT NULL DEFAULT '',
        ADD COLUMN last_error text NOT NULL DEFAULT ''
    """,
    """
    CREATE INDEX cdr_delivery_due ON cdr_delivery (receiver, next_attempt_at)
        WHERE guaranteed AND state <> 'DELIVERED' AND next_attempt_at IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
