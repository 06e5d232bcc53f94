"""The tables of the adapter."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE charger (
    charger_key text PRIMARY KEY,
    charger_id text NOT NULL,
    password_salt bytea NOT NULL,
    password_mac bytea NOT NULL,
    boot bytea,
    last_seen timestamptz,
    added_at timestamptz NOT NULL
);
CREATE TABLE hub_registration (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    state text NOT NULL,
    versions_url text NOT NULL,
    token_macs bytea[] NOT NULL,
    sealed_token bytea NOT NULL,
    base64 boolean NOT NULL DEFAULT true,
    hub_country_code text NOT NULL DEFAULT '',
    hub_party_id text NOT NULL DEFAULT '',
    public_url text NOT NULL DEFAULT '',
    endpoints bytea NOT NULL DEFAULT '[]',
    updated_at timestamptz NOT NULL
);
CREATE TABLE client_info (
    country_code text NOT NULL,
    party_id text NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    last_updated timestamptz NOT NULL,
    PRIMARY KEY (country_code, party_id, role)
);
CREATE TABLE token (
    country_code text NOT NULL,
    party_id text NOT NULL,
    uid_key text NOT NULL,
    type text NOT NULL,
    document bytea NOT NULL,
    last_updated timestamptz NOT NULL,
    PRIMARY KEY (country_code, party_id, uid_key, type)
);
CREATE INDEX token_by_uid ON token (uid_key);
CREATE TABLE expected_start (
    id_tag_key text NOT NULL,
    charger_key text NOT NULL,
    token bytea NOT NULL,
    authorization_reference text,
    auth_method text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (charger_key, id_tag_key)
);
CREATE SEQUENCE transaction_number AS integer MINVALUE 1;
CREATE TABLE charge (
    session_id uuid PRIMARY KEY,
    charger_key text NOT NULL,
    connector_id integer NOT NULL,
    transaction_id integer NOT NULL UNIQUE,
    start_key text NOT NULL UNIQUE,
    state text NOT NULL,
    opening bytea NOT NULL,
    answer bytea NOT NULL,
    held_because text,
    created_seq bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL
);
CREATE INDEX charge_open ON charge (charger_key, connector_id) WHERE state IN ('OPEN', 'STOPPED');
CREATE TABLE fact (
    session_id uuid NOT NULL REFERENCES charge,
    fact_key text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, fact_key)
);
CREATE TABLE unmatched_fact (
    fact_key text PRIMARY KEY,
    charger_key text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE TABLE connector_status (
    charger_key text NOT NULL,
    connector_id integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (charger_key, connector_id)
);
CREATE TABLE document (
    module text NOT NULL,
    object_key text NOT NULL,
    body bytea NOT NULL,
    receiver text NOT NULL DEFAULT '',
    last_updated timestamptz NOT NULL,
    created_seq bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (module, object_key)
);
CREATE INDEX document_order ON document (module, created_seq);
CREATE TABLE cdr (
    session_id uuid PRIMARY KEY REFERENCES charge,
    cdr_id text NOT NULL UNIQUE,
    body bytea NOT NULL,
    made_at timestamptz NOT NULL
);
CREATE TABLE push (
    receiver text NOT NULL,
    module text NOT NULL,
    object_key text NOT NULL,
    wanted bytea NOT NULL,
    sent bytea,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    held_because text,
    PRIMARY KEY (receiver, module, object_key)
);
CREATE INDEX push_due ON push (next_at) WHERE wanted IS DISTINCT FROM sent AND held_because IS NULL;
CREATE TABLE command (
    command_id uuid PRIMARY KEY,
    kind text NOT NULL,
    charger_key text NOT NULL,
    receiver text NOT NULL,
    response_url text NOT NULL,
    correlation_id text NOT NULL,
    result text,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX command_due ON command (next_at);
"""

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON charger, hub_registration, client_info, token, expected_start, charge, fact,
    unmatched_fact, connector_status, document, push, command TO ocpi_adapter_app;
GRANT SELECT, INSERT ON cdr TO ocpi_adapter_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ocpi_adapter_app;
"""


ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ocpi_adapter_app') THEN CREATE ROLE ocpi_adapter_app NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""


def upgrade() -> None:
    op.execute(ROLE)
    for statement in (TABLES + GRANTS).split(";\n"):
        if statement.strip():
            op.execute(statement)
