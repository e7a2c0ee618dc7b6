CREATE TABLE auth_session (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    subject             TEXT    NOT NULL,
    client_id           TEXT,
    scopes              TEXT    NOT NULL,
    label               TEXT,
    claims              TEXT    NOT NULL,
    auth_time           INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    generation          INTEGER NOT NULL,
    current_hash        BLOB    NOT NULL CHECK (length(current_hash) = 32),
    previous_hash       BLOB    CHECK (length(previous_hash) = 32),
    rotated_at          INTEGER NOT NULL,
    idle_expires_at     INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    revoked_at          INTEGER,
    revoked_by          TEXT,
    ip                  TEXT,
    user_agent          TEXT,
    last_outcome        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX auth_session_subject ON auth_session (subject);
CREATE INDEX auth_session_absolute_expires_at ON auth_session (absolute_expires_at);

PRAGMA application_id = 0x61757468;
PRAGMA user_version = 1;
