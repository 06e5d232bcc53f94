"""What lists are read from: which copies are listed, exact counters, the page map, the places of CDRs."""

from alembic import op

revision = "0003_lists"
down_revision = "0002_objects_and_cdrs"
branch_labels = None
depends_on = None

PAGE_MAP_STEP = 1000

OBJECTS = (
    "ALTER TABLE kept_object ALTER COLUMN created_seq DROP IDENTITY",
    "CREATE SEQUENCE kept_object_seq",
    "SELECT setval('kept_object_seq', greatest((SELECT max(created_seq) FROM kept_object), 1))",
    "ALTER TABLE kept_object ADD COLUMN listed boolean NOT NULL DEFAULT false",
    "ALTER TABLE object_count ADD COLUMN listed bigint NOT NULL DEFAULT 0 CHECK (listed >= 0)",
    """
    CREATE TABLE object_page (
        owner text NOT NULL,
        module text NOT NULL,
        audience text NOT NULL,
        page bigint NOT NULL,
        from_seq bigint NOT NULL,
        PRIMARY KEY (owner, module, audience, page)
    )
    """,
    "CREATE INDEX object_page_seq ON object_page (owner, module, audience, from_seq)",
    "CREATE INDEX kept_object_listed ON kept_object (owner, module, audience, created_seq) WHERE listed",
    "CREATE INDEX kept_object_changed ON kept_object (owner, module, audience, last_updated) WHERE listed",
    "CREATE INDEX kept_object_key ON kept_object (module, key_folded)",
    "CREATE INDEX object_count_of ON object_count (module, audience)",
)

COUNTS = (
    """
    UPDATE kept_object AS kept SET created_seq = eldest.seq FROM
        (SELECT owner, module, key_folded, min(created_seq) AS seq FROM kept_object GROUP BY 1, 2, 3) AS eldest
    WHERE (kept.owner, kept.module, kept.key_folded) = (eldest.owner, eldest.module, eldest.key_folded)
        AND kept.created_seq > eldest.seq
    """,
    """
    UPDATE kept_object AS kept SET listed = true WHERE NOT deleted AND (audience = '*' OR NOT EXISTS (
        SELECT FROM kept_object AS general WHERE general.owner = kept.owner AND general.module = kept.module
        AND general.key_folded = kept.key_folded AND general.audience = '*' AND NOT general.deleted))
    """,
    "DELETE FROM object_count",
    """
    INSERT INTO object_count (owner, module, audience, count, listed)
    SELECT owner, module, audience, count(*), count(*) FILTER (WHERE listed) FROM kept_object WHERE NOT deleted GROUP BY 1, 2, 3
    UNION ALL
    SELECT owner, module, '=', count(DISTINCT key_folded), count(DISTINCT key_folded) FROM kept_object WHERE NOT deleted
    GROUP BY 1, 2
    """,
    f"""
    INSERT INTO object_page (owner, module, audience, page, from_seq)
    SELECT owner, module, audience, place / {PAGE_MAP_STEP}, created_seq FROM (
        SELECT owner, module, audience, created_seq,
            row_number() OVER (PARTITION BY owner, module, audience ORDER BY created_seq) - 1 AS place
        FROM kept_object WHERE listed
    ) AS placed WHERE place > 0 AND place % {PAGE_MAP_STEP} = 0
    """,  # noqa: S608
)
"""Counters and page map out of the objects that are there."""

CDRS = (
    "ALTER TABLE cdr ADD COLUMN owner_place bigint, ADD COLUMN receiver_place bigint",
    """
    UPDATE cdr SET owner_place = placed.own, receiver_place = placed.theirs FROM (
        SELECT owner, id_folded, received_at,
            row_number() OVER (PARTITION BY owner ORDER BY received_at, id_folded) AS own,
            row_number() OVER (PARTITION BY owner, receiver ORDER BY received_at, id_folded) AS theirs
        FROM cdr
    ) AS placed
    WHERE (cdr.owner, cdr.id_folded, cdr.received_at) = (placed.owner, placed.id_folded, placed.received_at)
    """,
    "ALTER TABLE cdr ALTER COLUMN owner_place SET NOT NULL, ALTER COLUMN receiver_place SET NOT NULL",
    """
    INSERT INTO object_count (owner, module, audience, count, listed)
    SELECT owner, 'cdrs', receiver, count(*), count(*) FROM cdr GROUP BY 1, 2, 3
    UNION ALL SELECT owner, 'cdrs', '=', count(*), count(*) FROM cdr GROUP BY 1, 2
    """,
    "CREATE INDEX cdr_owner_place ON cdr (owner, owner_place)",
    "CREATE INDEX cdr_receiver_place ON cdr (owner, receiver, receiver_place)",
    "CREATE INDEX cdr_owner_changed ON cdr (owner, last_updated)",
    "CREATE INDEX cdr_receiver_changed ON cdr (owner, receiver, last_updated)",
)

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON object_page TO ocpi_hub_app",
    "GRANT USAGE ON SEQUENCE kept_object_seq TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in (*OBJECTS, *COUNTS, *CDRS, *GRANTS):
        op.execute(statement)
