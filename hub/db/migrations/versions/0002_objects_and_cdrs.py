"""Kept objects and their change log, tickets, agreements, and the CDR journal nobody may change."""

from alembic import op

revision = "0002_objects_and_cdrs"
down_revision = "0001_parties"
branch_labels = None
depends_on = None

OBJECTS = (
    """
    CREATE TABLE kept_object (
        owner text NOT NULL,
        module text NOT NULL,
        key_folded text NOT NULL,
        audience text NOT NULL,
        created_seq bigint GENERATED ALWAYS AS IDENTITY,
        version bigint NOT NULL,
        last_updated timestamptz NOT NULL,
        body bytea NOT NULL,
        deleted boolean NOT NULL DEFAULT false,
        stale boolean NOT NULL DEFAULT false,
        PRIMARY KEY (owner, module, key_folded, audience)
    )
    """,
    "CREATE INDEX kept_object_order ON kept_object (owner, module, created_seq)",
    """
    CREATE TABLE object_count (
        owner text NOT NULL,
        module text NOT NULL,
        audience text NOT NULL,
        count bigint NOT NULL CHECK (count >= 0),
        PRIMARY KEY (owner, module, audience)
    )
    """,
    "CREATE SEQUENCE change_log_seq",
    """
    CREATE TABLE change_log (
        changed_at timestamptz NOT NULL,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        seq bigint NOT NULL DEFAULT nextval('change_log_seq'),
        owner text NOT NULL,
        module text NOT NULL,
        key_folded text NOT NULL,
        audience text NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (xid, seq, changed_at)
    ) PARTITION BY RANGE (changed_at)
    """,
)
ROUTING = (
    """
    CREATE TABLE ticket (
        reference text PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('RESPONSE_URL', 'LINK')),
        module text NOT NULL,
        url text NOT NULL,
        asker text NOT NULL,
        addressee text NOT NULL,
        command text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ticket_expiry ON ticket (expires_at)",
    """
    CREATE TABLE ticket_result (
        reference text NOT NULL REFERENCES ticket ON DELETE CASCADE,
        body_hash bytea NOT NULL,
        http_status integer NOT NULL,
        answer bytea NOT NULL,
        PRIMARY KEY (reference, body_hash)
    )
    """,
    """
    CREATE TABLE agreement (
        cpo text NOT NULL,
        emsp text NOT NULL,
        modules text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (cpo, emsp)
    )
    """,
)
CDRS = (
    """
    CREATE TABLE cdr_identity (
        owner text NOT NULL,
        id_folded text NOT NULL,
        hash bytea NOT NULL,
        hash_version integer NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (owner, id_folded)
    )
    """,
    """
    CREATE TABLE cdr (
        owner text NOT NULL,
        id_folded text NOT NULL,
        received_at timestamptz NOT NULL,
        receiver text NOT NULL,
        last_updated timestamptz NOT NULL,
        credit_reference_id text,
        body bytea NOT NULL,
        PRIMARY KEY (owner, id_folded, received_at)
    ) PARTITION BY RANGE (received_at)
    """,
    """
    CREATE TABLE cdr_delivery (
        owner text NOT NULL,
        id_folded text NOT NULL,
        receiver text NOT NULL,
        state text NOT NULL CHECK (state IN ('RECEIVED', 'DELIVERED', 'UNDELIVERED', 'IN_DOUBT')),
        reference text NOT NULL UNIQUE,
        location text,
        http_status integer,
        answer bytea,
        attempts integer NOT NULL DEFAULT 0,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (owner, id_folded),
        FOREIGN KEY (owner, id_folded) REFERENCES cdr_identity
    )
    """,
    "CREATE INDEX cdr_delivery_open ON cdr_delivery (owner, changed_at) WHERE state <> 'DELIVERED'",
)


def partitions_of(table: str) -> tuple[str, ...]:
    """A function of the owner that makes one month's partition; the application may call it, and create nothing else.

    Months are those of UTC. Two callers at once wait on the lock; the second finds the partition there.
    """
    return (
        f"""
        CREATE FUNCTION ensure_{table}_partition(moment timestamptz) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
        DECLARE
            first timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
            month text := '{table}_' || to_char(first, 'YYYY_MM');
        BEGIN
            IF to_regclass(quote_ident(month)) IS NOT NULL THEN
                RETURN;
            END IF;
            PERFORM pg_advisory_xact_lock(hashtext(month));
            EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF {table} FOR VALUES FROM (%L) TO (%L)', month,
                           first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
        END
        $$
        """,
        f"REVOKE ALL ON FUNCTION ensure_{table}_partition(timestamptz) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION ensure_{table}_partition(timestamptz) TO ocpi_hub_app",
        f"SELECT ensure_{table}_partition(now())",
        f"SELECT ensure_{table}_partition(now() + interval '1 month')",
    )


GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON kept_object, object_count, ticket, ticket_result, agreement TO ocpi_hub_app",
    "GRANT SELECT, INSERT ON change_log TO ocpi_hub_app",
    "GRANT USAGE ON SEQUENCE change_log_seq TO ocpi_hub_app",
    "REVOKE ALL ON cdr_identity, cdr, cdr_delivery FROM ocpi_hub_app",
    "GRANT SELECT, INSERT ON cdr_identity, cdr TO ocpi_hub_app",
    "GRANT SELECT, INSERT, UPDATE ON cdr_delivery TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in (*OBJECTS, *ROUTING, *CDRS, *partitions_of("cdr"), *partitions_of("change_log"), *GRANTS):
        op.execute(statement)
