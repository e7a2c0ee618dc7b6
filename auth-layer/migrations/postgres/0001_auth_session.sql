CREATE TABLE auth_session (
    id                  BYTEA    NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    subject             TEXT     NOT NULL,
    client_id           TEXT,
    scopes              TEXT     NOT NULL,
    label               TEXT,
    claims              TEXT     NOT NULL,
    auth_time           BIGINT   NOT NULL,
    created_at          BIGINT   NOT NULL,
    generation          BIGINT   NOT NULL,
    current_hash        BYTEA    NOT NULL CHECK (octet_length(current_hash) = 32),
    previous_hash       BYTEA    CHECK (octet_length(previous_hash) = 32),
    rotated_at          BIGINT   NOT NULL,
    idle_expires_at     BIGINT   NOT NULL,
    absolute_expires_at BIGINT   NOT NULL,
    revoked_at          BIGINT,
    revoked_by          TEXT,
    ip                  TEXT,
    user_agent          TEXT,
    last_outcome        SMALLINT NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

COMMENT ON TABLE auth_session IS
    'Sessions of auth-layer. Times are milliseconds since the Unix epoch. A rotation changes no indexed column: keep it so.';

CREATE INDEX auth_session_subject ON auth_session (subject);
CREATE INDEX auth_session_absolute_expires_at ON auth_session (absolute_expires_at);

CREATE TABLE auth_session_schema (
    version    INTEGER     NOT NULL PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
