"""What open routing must remember that no kept object says: reservations, profiles, references, sessions that were not kept."""

from alembic import op

revision = "0005_open_routing"
down_revision = "0004_told_url"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE known_route (
        owner text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('AUTHORIZATION', 'PROFILE', 'RESERVATION', 'SESSION')),
        reference_folded text NOT NULL,
        partner text NOT NULL,
        ticket text,
        noted_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (owner, kind, reference_folded, partner)
    )
    """,
    "CREATE INDEX known_route_partner ON known_route (partner, kind, reference_folded)",
    "CREATE INDEX known_route_ticket ON known_route (ticket) WHERE ticket IS NOT NULL",
    "CREATE INDEX known_route_expiry ON known_route (expires_at)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON known_route TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
