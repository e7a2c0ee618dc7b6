-- For those who catch up with what was revoked.
CREATE INDEX auth_session_revoked_at ON auth_session (revoked_at, id) WHERE revoked_at IS NOT NULL;

PRAGMA user_version = 3;
