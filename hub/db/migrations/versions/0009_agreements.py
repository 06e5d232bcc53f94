"""Agreements have dates and a CDR mode, are one for two parties, and count their changes.

Until here two parties could have two, one for each of them as the CPO, and which of them counted was left to chance. Of two the
older stays, with the modules that both allowed (no module in it means all of them); what only one allowed is allowed no more.
Where they have none in common both go: an agreement without modules would allow everything.
"""

from alembic import op

revision = "0009_agreements"
down_revision = "0008_retention"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE agreement
        ADD COLUMN valid_from timestamptz,
        ADD COLUMN valid_until timestamptz,
        ADD COLUMN cdr_mode text NOT NULL DEFAULT 'transparent' CHECK (cdr_mode IN ('transparent', 'guaranteed')),
        ADD CHECK (valid_from < valid_until)
    """,
    """
    DELETE FROM agreement AS own USING agreement AS twin
    WHERE (own.cpo, own.emsp) = (twin.emsp, twin.cpo) AND own.cpo <> own.emsp
      AND own.modules <> '{}' AND twin.modules <> '{}' AND NOT own.modules && twin.modules
    """,
    """
    UPDATE agreement AS own SET modules = CASE
        WHEN own.modules = '{}' THEN twin.modules
        WHEN twin.modules = '{}' THEN own.modules
        ELSE ARRAY(SELECT unnest(own.modules) INTERSECT SELECT unnest(twin.modules) ORDER BY 1) END
    FROM agreement AS twin WHERE (own.cpo, own.emsp) = (twin.emsp, twin.cpo) AND own.cpo <> own.emsp
    """,
    """
    DELETE FROM agreement AS own USING agreement AS twin
    WHERE (own.cpo, own.emsp) = (twin.emsp, twin.cpo) AND (own.created_at, own.cpo) > (twin.created_at, twin.cpo)
    """,
    "CREATE UNIQUE INDEX agreement_pair ON agreement (least(cpo, emsp), greatest(cpo, emsp))",
    """
    CREATE TABLE agreement_revision (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        revision bigint NOT NULL
    )
    """,
    "INSERT INTO agreement_revision (revision) VALUES (0)",
    """
    CREATE FUNCTION count_agreement_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE agreement_revision SET revision = revision + 1;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER agreement_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON agreement
    FOR EACH STATEMENT EXECUTE FUNCTION count_agreement_change()
    """,
    "GRANT SELECT, UPDATE ON agreement_revision TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
