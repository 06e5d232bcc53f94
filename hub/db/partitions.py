"""Functions of the owner that make the partitions of a table; the application may call them, and create nothing else.

Used by migrations only; a released one is changed by a new one.
"""

AHEAD_DAYS = 14
UNDELIVERED_CDRS = (
    "parent = 'cdr' AND EXISTS (SELECT FROM cdr_delivery AS own JOIN cdr_identity AS identity USING (owner, id_folded) "
    "WHERE own.guaranteed AND own.state <> 'DELIVERED' "
    "AND identity.received_at >= bound.begins AND identity.received_at < bound.ends)"
)
"""Of a month of CDRs: the hub still owes one of them to its receiver."""


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
            IF EXISTS (SELECT FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
                       WHERE inhparent = '{table}'::regclass AND part.relname = day) THEN
                RETURN;  -- made by whom we waited for; to_regclass may not know of it yet
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


def dropping(spared: str = "false") -> tuple[str, ...]:
    """`drop_oldest_partition(parent, before)` drops the oldest partition that ends at or before `before`; its name, else null.

    Of three tables only, and nothing younger than a floor, whatever the caller's clock says. It waits a moment for the lock, and
    raises lock_not_available then: behind it everybody who writes would wait too. What must outlive the partition is written in
    the same transaction: how far the change log can be read, how many CDRs an owner has left. Rows of a transaction yet to come
    are those of another cluster, whose backup this is: nobody here reads from there (F-51).

    `spared` is a condition on `parent`, `bound.begins` and `bound.ends`: such a partition stays while younger ones go.
    """
    return (
        f"""
        CREATE OR REPLACE FUNCTION drop_oldest_partition(parent text, before timestamptz) RETURNS text
        LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
        DECLARE
            youngest interval := CASE parent WHEN 'trace' THEN interval '1 day' WHEN 'change_log' THEN interval '14 days'
                                             WHEN 'cdr' THEN interval '366 days' END;
            oldest text;
            gone jsonb;
        BEGIN
            IF youngest IS NULL THEN
                RAISE EXCEPTION 'Partitions of % are never dropped.', parent;
            END IF;
            IF before IS NULL OR before > now() - youngest THEN
                RAISE EXCEPTION 'Partitions of % are kept for % at least.', parent, youngest;
            END IF;
            SELECT part.oid::regclass::text INTO oldest
            FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
            CROSS JOIN LATERAL (SELECT span[1]::timestamptz AS begins, span[2]::timestamptz AS ends FROM regexp_match(
                pg_get_expr(part.relpartbound, part.oid), $re$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$re$) AS span) AS bound
            WHERE inhparent = to_regclass(quote_ident(parent)) AND bound.ends <= before AND NOT ({spared})
            ORDER BY bound.ends LIMIT 1;
            IF oldest IS NULL THEN
                RETURN NULL;
            END IF;
            IF parent = 'cdr' THEN
                EXECUTE format('SELECT coalesce(jsonb_agg(row_to_json(counted)), ''[]'') FROM (SELECT owner, receiver, '
                               'count(*) AS number FROM %s GROUP BY owner, receiver) AS counted', oldest) INTO gone;
            END IF;
            EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
            IF parent = 'change_log' THEN
                EXECUTE format('INSERT INTO change_log_floor AS floor (system_identifier, xid, seq) '
                               'SELECT (SELECT system_identifier FROM pg_control_system()), xid, seq FROM %s '
                               'WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) '
                               'ORDER BY xid DESC, seq DESC LIMIT 1 ON CONFLICT (only_row) DO UPDATE '
                               'SET system_identifier = excluded.system_identifier, xid = excluded.xid, seq = excluded.seq '
                               'WHERE floor.system_identifier <> excluded.system_identifier '
                               'OR (floor.xid, floor.seq) < (excluded.xid, excluded.seq)', oldest);
            END IF;
            EXECUTE format('DROP TABLE %s', oldest);
            IF parent = 'cdr' THEN
                UPDATE object_count AS counted SET count = counted.count - left_over.number FROM (
                    SELECT owner, coalesce(receiver, '=') AS audience, sum(number)::bigint AS number
                    FROM jsonb_to_recordset(gone) AS lost (owner text, receiver text, number bigint)
                    GROUP BY GROUPING SETS ((owner, receiver), (owner))
                ) AS left_over
                WHERE (counted.owner, counted.module, counted.audience) = (left_over.owner, 'cdrs', left_over.audience);
            END IF;
            RETURN oldest;
        END
        $$
        """,  # noqa: S608
        "REVOKE ALL ON FUNCTION drop_oldest_partition(text, timestamptz) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION drop_oldest_partition(text, timestamptz) TO ocpi_hub_app",
    )
