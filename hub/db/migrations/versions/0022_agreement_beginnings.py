"""What two parties could not send each other before is owed once their agreement allows it (promises section 1).

Each change of an agreement that lets through what did not pass before is noted with the moment from which it does, and taken out
when it is owed. Agreements that hold already are not noted: nobody knows what they missed.
"""

from alembic import op

revision = "0022_agreement_beginnings"
down_revision = "0021_floor_of_this_cluster"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE agreement_beginning (
        one text NOT NULL,
        other text NOT NULL,
        begins_at timestamptz NOT NULL,
        PRIMARY KEY (one, other)
    )
    """,
    "CREATE INDEX agreement_beginning_due ON agreement_beginning (begins_at)",
    """
    CREATE FUNCTION note_agreement_beginning() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        present timestamptz := clock_timestamp();
    BEGIN
        -- One that ends within seconds has a gap where it is prolonged: processes learn that later.
        IF TG_OP = 'UPDATE'
            AND coalesce(OLD.valid_from <= present, true)
            AND coalesce(OLD.valid_until > present + interval '10 seconds', true)
            AND coalesce(NEW.valid_from <= present, true)
            AND (OLD.modules = '{}' OR (NEW.modules <> '{}' AND NEW.modules <@ OLD.modules))
        THEN
            RETURN NULL;
        END IF;
        INSERT INTO agreement_beginning (one, other, begins_at)
        VALUES (least(NEW.cpo, NEW.emsp), greatest(NEW.cpo, NEW.emsp), greatest(NEW.valid_from, present))
        ON CONFLICT (one, other) DO UPDATE SET begins_at = excluded.begins_at;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER agreement_begins AFTER INSERT OR UPDATE ON agreement
    FOR EACH ROW EXECUTE FUNCTION note_agreement_beginning()
    """,
    """
    INSERT INTO agreement_beginning (one, other, begins_at)
    SELECT least(cpo, emsp), greatest(cpo, emsp), valid_from FROM agreement WHERE valid_from > clock_timestamp()
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON agreement_beginning TO ocpi_hub_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
