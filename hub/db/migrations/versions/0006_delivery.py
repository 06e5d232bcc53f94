"""Delivery: a cursor for each receiving party, what it is owed beside the cursor, and the workers that share the receivers."""

from alembic import op

revision = "0006_delivery"
down_revision = "0005_open_routing"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE destination (
        party text PRIMARY KEY,
        platform_id uuid NOT NULL,
        epoch bigint NOT NULL DEFAULT 0,
        holder uuid,
        lease_until timestamptz,
        system_identifier bigint NOT NULL,
        cursor_xid xid8 NOT NULL,
        cursor_seq bigint NOT NULL,
        walk_after text[],
        state text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'PAUSED')),
        failures integer NOT NULL DEFAULT 0,
        failing_since timestamptz,
        next_attempt_at timestamptz,
        last_error text NOT NULL DEFAULT ''
    )
    """,
    """
    CREATE TABLE undelivered (
        party text NOT NULL REFERENCES destination ON DELETE CASCADE,
        owner text NOT NULL,
        module text NOT NULL,
        key_folded text NOT NULL,
        audience text NOT NULL,
        version bigint NOT NULL,
        attempts integer NOT NULL,
        next_attempt_at timestamptz,
        last_error text NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (party, owner, module, key_folded, audience)
    )
    """,
    "CREATE INDEX undelivered_due ON undelivered (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
    """
    CREATE TABLE delivery_worker (
        worker uuid PRIMARY KEY,
        seen_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX change_log_time ON change_log USING brin (changed_at)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON destination, undelivered, delivery_worker TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
