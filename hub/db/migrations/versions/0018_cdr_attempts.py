"""Who forwards a CDR just now, over all processes, and which CDRs credit an original (D-22, D-04)."""

from alembic import op

revision = "0018_cdr_attempts"
down_revision = "0015_guaranteed_cdrs"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE cdr_delivery ADD COLUMN attempt_id uuid, ADD COLUMN attempt_until timestamptz",
    "CREATE INDEX cdr_credits ON cdr (owner, credit_reference_id) WHERE credit_reference_id IS NOT NULL",
)


def upgrade() -> None:
    """The previous version of the program names nobody: what it forwards, nobody waits for."""
    for statement in STATEMENTS:
        op.execute(statement)
