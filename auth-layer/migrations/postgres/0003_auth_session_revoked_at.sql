-- For those who catch up with what was revoked. A rotation leaves `revoked_at` null, and so does not touch it.
CREATE INDEX auth_session_revoked_at ON auth_session (revoked_at, id) WHERE revoked_at IS NOT NULL;
