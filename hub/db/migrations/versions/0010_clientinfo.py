"""HubClientInfo for each viewer, who keeps it up to date, who suspects itself, and who refuses our token."""

from alembic import op

revision = "0010_clientinfo"
down_revision = "0009_agreements"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE client_info (
        viewer uuid NOT NULL REFERENCES platform,
        country_code text NOT NULL,
        party_id text NOT NULL,
        role text NOT NULL,
        position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
        status text NOT NULL CHECK (status IN ('CONNECTED', 'OFFLINE', 'PLANNED', 'SUSPENDED')),
        last_updated timestamptz NOT NULL,
        pushed_at timestamptz,
        push_after timestamptz NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        PRIMARY KEY (viewer, country_code, party_id, role),
        FOREIGN KEY (country_code, party_id, role) REFERENCES party (country_code, party_id, role)
    )
    """,
    "CREATE UNIQUE INDEX client_info_position ON client_info (viewer, position)",
    "CREATE INDEX client_info_owed ON client_info (viewer) WHERE pushed_at IS NULL",
    """
    CREATE TABLE client_info_leader (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        holder uuid,
        lease_until timestamptz
    )
    """,
    "INSERT INTO client_info_leader DEFAULT VALUES",
    """
    CREATE TABLE self_suspicion (
        process uuid PRIMARY KEY,
        since timestamptz NOT NULL,
        seen_at timestamptz NOT NULL
    )
    """,
    "ALTER TABLE platform ADD COLUMN token_refused_at timestamptz",
    "GRANT SELECT, INSERT, UPDATE ON client_info TO ocpi_hub_app",
    "GRANT SELECT, UPDATE ON client_info_leader TO ocpi_hub_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON self_suspicion TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
