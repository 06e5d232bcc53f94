"""Functions of the owner that make the partitions of a table; the application may call them, and create nothing else.

Used by migrations only; a released one is changed by a new one.
"""

AHEAD_DAYS = 14


def daily_partitions_of(table: str) -> tuple[str, ...]:
    """`ensure_<table>_partition(moment)` makes the partition of one day (UTC), and those of the next days now.

    A month's partition from before stands for its days. The new table is attached when it is there: unlike CREATE ... PARTITION
    OF, this does not wait for those who write. Two callers at once wait on the lock; the second finds the partition there.
    """
    return (
        f"""
        CREATE OR REPLACE FUNCTION ensure_{table}_partition(moment timestamptz) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
        DECLARE
            first timestamp := date_trunc('day', moment AT TIME ZONE 'UTC');
            day text := '{table}_' || to_char(first, 'YYYY_MM_DD');
            month text := '{table}_' || to_char(first, 'YYYY_MM');
        BEGIN
            IF to_regclass(quote_ident(day)) IS NOT NULL OR to_regclass(quote_ident(month)) IS NOT NULL THEN
                RETURN;
            END IF;
            PERFORM pg_advisory_xact_lock(hashtext(day));
            IF to_regclass(quote_ident(day)) IS NOT NULL THEN
                RETURN;
            END IF;
            EXECUTE format('CREATE TABLE %I (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', day);
            EXECUTE format('ALTER TABLE {table} ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', day,
                           first AT TIME ZONE 'UTC', (first + interval '1 day') AT TIME ZONE 'UTC');
        END
        $$
        """,  # noqa: S608
        f"REVOKE ALL ON FUNCTION ensure_{table}_partition(timestamptz) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION ensure_{table}_partition(timestamptz) TO ocpi_hub_app",
        f"SELECT ensure_{table}_partition(now() + ahead * interval '1 day') FROM generate_series(0, {AHEAD_DAYS}) AS ahead",  # noqa: S608
    )
