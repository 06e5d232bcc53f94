"""Platforms, their parties, endpoints and tokens; the role every runtime connection is a member of."""

from alembic import op

revision = "0001_parties"
down_revision = None
branch_labels = None
depends_on = None

APPLICATION_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ocpi_hub_app') THEN
        CREATE ROLE ocpi_hub_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another migration made it at the same moment
END
$$
"""

TABLES = (
    """
    CREATE TABLE directory_revision (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        revision bigint NOT NULL
    )
    """,
    "INSERT INTO directory_revision (revision) VALUES (0)",
    """
    CREATE TABLE platform (
        platform_id uuid PRIMARY KEY,
        name text NOT NULL,
        state text NOT NULL CHECK (state IN ('PLANNED', 'REGISTERED', 'SUSPENDED', 'UNREGISTERED')),
        version text,
        versions_url text,
        approved_host text,
        outgoing_token bytea,
        token_encoding text NOT NULL DEFAULT 'auto' CHECK (token_encoding IN ('auto', 'base64', 'plain')),
        base64_learned boolean NOT NULL DEFAULT true,
        switches jsonb NOT NULL DEFAULT '{}',
        connection text NOT NULL DEFAULT 'OFFLINE' CHECK (connection IN ('CONNECTED', 'OFFLINE')),
        last_seen timestamptz,
        registered_at timestamptz,
        created_at timestamptz NOT NULL,
        revision bigint NOT NULL DEFAULT 0,
        CHECK (state <> 'REGISTERED' OR (outgoing_token IS NOT NULL AND version IS NOT NULL))
    )
    """,
    "CREATE INDEX platform_revision ON platform (revision)",
    """
    CREATE TABLE endpoint (
        platform_id uuid NOT NULL REFERENCES platform,
        module text NOT NULL,
        interface text NOT NULL CHECK (interface IN ('SENDER', 'RECEIVER')),
        url text NOT NULL,
        PRIMARY KEY (platform_id, module, interface)
    )
    """,
    """
    CREATE TABLE party_claim (
        country_code text NOT NULL,
        party_id text NOT NULL,
        platform_id uuid NOT NULL REFERENCES platform,
        PRIMARY KEY (country_code, party_id),
        UNIQUE (country_code, party_id, platform_id)
    )
    """,
    """
    CREATE TABLE party (
        country_code text NOT NULL,
        party_id text NOT NULL,
        role text NOT NULL,
        platform_id uuid NOT NULL,
        state text NOT NULL DEFAULT 'PLANNED' CHECK (state IN ('PLANNED', 'REGISTERED', 'SUSPENDED')),
        business_details jsonb NOT NULL DEFAULT '{}',
        announced text NOT NULL DEFAULT 'PLANNED'
            CHECK (announced IN ('CONNECTED', 'OFFLINE', 'PLANNED', 'SUSPENDED')),
        announced_at timestamptz NOT NULL,
        PRIMARY KEY (country_code, party_id, role),
        FOREIGN KEY (country_code, party_id, platform_id)
            REFERENCES party_claim (country_code, party_id, platform_id),
        CHECK (country_code = upper(country_code) AND party_id = upper(party_id))
    )
    """,
    "CREATE INDEX party_platform ON party (platform_id)",
    """
    CREATE TABLE issued_token (
        mac bytea PRIMARY KEY,
        platform_id uuid NOT NULL REFERENCES platform,
        kind text NOT NULL CHECK (kind IN ('A', 'C')),
        retires_others boolean NOT NULL DEFAULT true,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz,
        first_used_at timestamptz
    )
    """,
    "CREATE INDEX issued_token_platform ON issued_token (platform_id)",
)

GRANTS = (
    "GRANT SELECT, UPDATE ON directory_revision TO ocpi_hub_app",
    "GRANT SELECT, INSERT, UPDATE ON platform, party_claim, party TO ocpi_hub_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON endpoint, issued_token TO ocpi_hub_app",
)


def upgrade() -> None:
    op.execute(APPLICATION_ROLE)
    for statement in TABLES + GRANTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE issued_token, party, party_claim, endpoint, platform, directory_revision")
