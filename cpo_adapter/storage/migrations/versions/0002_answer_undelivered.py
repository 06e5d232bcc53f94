"""Which starts' answers did not reach their charger, so that it does not know its transaction's number (R20)."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE charge ADD COLUMN answer_undelivered boolean NOT NULL DEFAULT false")
    op.execute("CREATE INDEX charge_undelivered ON charge (charger_key) WHERE answer_undelivered")
