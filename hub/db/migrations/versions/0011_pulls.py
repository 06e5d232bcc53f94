"""Pulls: when a party's list was read and how far, what a whole reading has seen, and what the hub says of what vanished."""

from alembic import op

revision = "0011_pulls"
down_revision = "0010_clientinfo"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE pull (
        party text NOT NULL,
        module text NOT NULL CHECK (module IN ('locations', 'tariffs', 'tokens')),
        known_since timestamptz NOT NULL,
        pushed_at timestamptz,
        wanted_at timestamptz,
        wanted_whole boolean NOT NULL DEFAULT false,
        wanted_by_hand boolean NOT NULL DEFAULT false,
        epoch bigint NOT NULL DEFAULT 0,
        holder uuid,
        lease_until timestamptz,
        not_before timestamptz,
        failures integer NOT NULL DEFAULT 0,
        state text NOT NULL DEFAULT 'NEVER' CHECK (state IN ('NEVER', 'RUNNING', 'DONE', 'FAILED')),
        whole boolean NOT NULL DEFAULT true,
        by_hand boolean NOT NULL DEFAULT false,
        began_at timestamptz,
        ended_at timestamptz,
        date_from timestamptz,
        begin_xid xid8,
        system_identifier bigint,
        look integer NOT NULL DEFAULT 1,
        next_url text,
        received bigint NOT NULL DEFAULT 0,
        pages bigint NOT NULL DEFAULT 0,
        objects bigint NOT NULL DEFAULT 0,
        changed bigint NOT NULL DEFAULT 0,
        vanished bigint NOT NULL DEFAULT 0,
        refused bigint NOT NULL DEFAULT 0,
        unnamed bigint NOT NULL DEFAULT 0,
        said text NOT NULL DEFAULT '',
        flag text NOT NULL DEFAULT '',
        succeeded_at timestamptz,
        whole_at timestamptz,
        PRIMARY KEY (party, module)
    )
    """,
    "CREATE INDEX pull_open ON pull (party, module) WHERE wanted_at IS NOT NULL OR state = 'RUNNING'",
    """
    CREATE TABLE pull_seen (
        party text NOT NULL,
        module text NOT NULL,
        key_folded text NOT NULL,
        PRIMARY KEY (party, module, key_folded)
    )
    """,
    "ALTER TABLE kept_object ADD COLUMN owner_last_updated timestamptz",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON pull, pull_seen TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
