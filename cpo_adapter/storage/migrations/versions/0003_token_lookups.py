"""When the token of a held charge is looked up again, and how often it was; those held before are looked up as well (R32).

And an index for what a charger did before.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "ALTER TABLE charge ADD COLUMN look_up_at timestamptz, ADD COLUMN lookups integer NOT NULL DEFAULT 0",
    "CREATE INDEX charge_look_up ON charge (look_up_at) WHERE look_up_at IS NOT NULL",
    "CREATE INDEX charge_of_charger ON charge (charger_key, created_seq)",
    "CREATE INDEX charge_held ON charge (created_seq) WHERE state = 'HELD'",
    """
    UPDATE charge SET look_up_at = now() WHERE state = 'HELD'
        AND held_because = 'It began while the charger was offline, with a token that nobody here knows.'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
