"""Under which secret key each token we gave out is known, and the key that everything is to be moved to (S-03)."""

from alembic import op

revision = "0024_key_rotation"
down_revision = "0023_revoked_first"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE issued_token ADD COLUMN key_id text",
    """
    CREATE TABLE key_rotation (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        key_id text NOT NULL,
        began_at timestamptz NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE ON key_rotation TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
