-- As in PostgreSQL's 0004: columns are null until something is written to them.
ALTER TABLE auth_session ADD COLUMN tag_key_id INTEGER;
ALTER TABLE auth_session ADD COLUMN idle_timeout INTEGER;
ALTER TABLE auth_session ADD COLUMN access_ttl INTEGER;
ALTER TABLE auth_session ADD COLUMN audiences TEXT;
ALTER TABLE auth_session ADD COLUMN access_cut INTEGER;
ALTER TABLE auth_session ADD COLUMN ended_ip TEXT;
ALTER TABLE auth_session ADD COLUMN ended_user_agent TEXT;
ALTER TABLE auth_session ADD COLUMN stripped_at INTEGER;

CREATE TABLE auth_subject (
    subject    TEXT    NOT NULL PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    access_cut INTEGER
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 4;
