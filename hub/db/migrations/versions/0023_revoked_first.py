"""What is revoked is found by an index, and how far a receiver was told of it is remembered (promises section 2). Receivers that
hear more than before are noted.

`revoked` only says what goes first: where a program before this one wrote a Token it may be wrong, and nothing is lost by that.
"""

from alembic import op

revision = "0023_revoked_first"
down_revision = "0022_agreement_beginnings"
branch_labels = None
depends_on = None

COLUMNS = (
    """
    CREATE FUNCTION is_revoked(module text, body bytea) RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT CASE WHEN module = 'tokens' THEN coalesce(convert_from(body, 'UTF8')::json ->> 'valid' = 'false', false)
            OR coalesce(convert_from(body, 'UTF8')::json ->> 'whitelist' = 'NEVER', false) ELSE false END
    $$
    """,
    "ALTER TABLE kept_object ADD COLUMN revoked boolean NOT NULL DEFAULT false",
    "ALTER TABLE undelivered ADD COLUMN revoked boolean NOT NULL DEFAULT false",
    "ALTER TABLE destination ADD COLUMN ahead text[]",
)
BEGINNINGS = (
    "CREATE TABLE receiver_beginning (party text PRIMARY KEY, begins_at timestamptz NOT NULL)",
    "CREATE TABLE default_policy (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), open boolean)",
    "INSERT INTO default_policy DEFAULT VALUES",
    "ALTER TABLE delivery_worker ADD COLUMN open boolean NOT NULL DEFAULT false",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON receiver_beginning TO ocpi_hub_app",
    "GRANT SELECT, UPDATE ON default_policy TO ocpi_hub_app",
)
FILLED = (
    "UPDATE kept_object SET revoked = true WHERE module = 'tokens' AND is_revoked(module, body)",
    "UPDATE undelivered AS debt SET revoked = true FROM kept_object AS kept WHERE kept.revoked "
    "AND (kept.owner, kept.module, kept.key_folded, kept.audience) = (debt.owner, debt.module, debt.key_folded, debt.audience)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS kept_object_first ON kept_object (owner, module, key_folded) "
    "WHERE audience = '*' AND (revoked OR module = 'tariffs')",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS undelivered_order ON undelivered (party, revoked DESC, next_attempt_at) "
    "WHERE next_attempt_at IS NOT NULL",
)
"""Each by itself: nobody who writes meanwhile waits for it (Q-16)."""


def upgrade() -> None:
    for statement in (*COLUMNS, *BEGINNINGS):
        op.execute(statement)
    with op.get_context().autocommit_block():
        for statement in FILLED:
            op.execute(statement)
