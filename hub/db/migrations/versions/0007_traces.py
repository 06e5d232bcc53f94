"""A trace of every message that passed, one partition a day, and where some were lost."""

from alembic import op

from hub.db.partitions import daily_partitions_of

revision = "0007_traces"
down_revision = "0006_delivery"
branch_labels = None
depends_on = None

TABLES = (
    "CREATE SEQUENCE trace_seq",
    """
    CREATE TABLE trace (
        sender text NOT NULL,
        traced_at timestamptz NOT NULL,
        seq bigint NOT NULL DEFAULT nextval('trace_seq'),
        receiver text NOT NULL,
        sender_platform text NOT NULL,
        receiver_platform text NOT NULL,
        module text NOT NULL,
        interface text NOT NULL,
        method text NOT NULL,
        route text NOT NULL,
        correlation_id text NOT NULL,
        object_owner text NOT NULL,
        object_id text NOT NULL,
        request_id text,
        target text,
        http_status integer,
        status_code integer,
        microseconds bigint,
        request_bytes bigint,
        answer_bytes bigint,
        refusal text,
        forwarded_request_id text,
        forwarded_target text,
        forwarded_outcome text,
        forwarded_http_status integer,
        forwarded_status_code integer,
        forwarded_microseconds bigint,
        forwarded_bytes bigint,
        forwarded_answer_bytes bigint,
        flags text[] NOT NULL,
        headers jsonb NOT NULL,
        PRIMARY KEY (sender, traced_at, seq)
    ) PARTITION BY RANGE (traced_at)
    """,
    "CREATE INDEX trace_receiver ON trace (receiver, traced_at)",
    "CREATE INDEX trace_correlation ON trace (correlation_id)",
    "CREATE INDEX trace_object ON trace (object_id, module, object_owner) WHERE object_id <> ''",
    "CREATE INDEX trace_time ON trace (traced_at)",
    """
    CREATE TABLE trace_gap (
        gap_id uuid PRIMARY KEY,
        began_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        number bigint NOT NULL
    )
    """,
)
GRANTS = (
    "GRANT SELECT, INSERT ON trace TO ocpi_hub_app",
    "GRANT USAGE ON SEQUENCE trace_seq TO ocpi_hub_app",
    "GRANT SELECT, INSERT, DELETE ON trace_gap TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in (*TABLES, *daily_partitions_of("trace"), *GRANTS):
        op.execute(statement)
