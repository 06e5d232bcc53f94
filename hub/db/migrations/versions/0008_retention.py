"""What makes partitions ahead and drops those past their time, and what must stay known of what was dropped."""

from alembic import op

from hub.db.partitions import daily_partitions_of, dropping

revision = "0008_retention"
down_revision = "0007_traces"
branch_labels = None
depends_on = None

CHANGE_LOG = (
    """
    DO $$
    DECLARE
        month record;
        filled boolean;
    BEGIN
        FOR month IN SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = 'change_log'::regclass LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', month.name) INTO filled;
            IF NOT filled THEN
                EXECUTE format('DROP TABLE %s', month.name);
            END IF;
        END LOOP;
    END
    $$
    """,
    *daily_partitions_of("change_log"),
    """
    CREATE TABLE change_log_floor (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        system_identifier bigint NOT NULL,
        xid xid8 NOT NULL,
        seq bigint NOT NULL
    )
    """,
    "GRANT SELECT ON change_log_floor TO ocpi_hub_app",
)
"""Empty months give way to days; a month with changes stands until all of it is past its time."""

JOB = (
    """
    CREATE TABLE job (
        name text PRIMARY KEY,
        holder uuid,
        lease_until timestamptz,
        due_at timestamptz NOT NULL DEFAULT now(),
        ran_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "INSERT INTO job (name) VALUES ('retention')",
    "GRANT SELECT, UPDATE ON job TO ocpi_hub_app",
)

TOMBSTONES = "ALTER TABLE kept_object ADD COLUMN buried_at timestamptz"
"""The job dates those there are already: to do it here would hold up who writes meanwhile (Q-16)."""
BURIED = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS kept_object_buried ON kept_object (owner, module, buried_at) WHERE deleted"
)


def upgrade() -> None:
    for statement in (*CHANGE_LOG, *JOB, TOMBSTONES, *dropping()):
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(BURIED)
