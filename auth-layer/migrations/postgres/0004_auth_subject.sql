-- Additive, without a default, so that no row is rewritten: a node of the previous version runs beside the next.
ALTER TABLE auth_session
    ADD COLUMN tag_key_id       BIGINT,
    ADD COLUMN idle_timeout     BIGINT,
    ADD COLUMN access_ttl       BIGINT,
    ADD COLUMN audiences        TEXT,
    ADD COLUMN access_cut       BIGINT,
    ADD COLUMN ended_ip         TEXT,
    ADD COLUMN ended_user_agent TEXT,
    ADD COLUMN stripped_at      BIGINT;

COMMENT ON COLUMN auth_session.tag_key_id IS
    'The secret that tagged the newest refresh token, or null if a version without this column rotated it.';
COMMENT ON COLUMN auth_session.idle_timeout IS
    'How long this session may stay unused, in milliseconds, or null for the default of the issuer.';
COMMENT ON COLUMN auth_session.access_ttl IS
    'How long an access token of this session lives, in milliseconds, or null for the default of the issuer.';
COMMENT ON COLUMN auth_session.audiences IS
    'The audiences of its access tokens, separated by spaces, or null for those of the issuer.';
COMMENT ON COLUMN auth_session.access_cut IS
    'Access tokens issued before this time are refused, or null.';
COMMENT ON COLUMN auth_session.ended_ip IS
    'The address of the request that ended the session, or null.';
COMMENT ON COLUMN auth_session.ended_user_agent IS
    'The User-Agent of the request that ended the session, or null.';
COMMENT ON COLUMN auth_session.stripped_at IS
    'When claims and label were removed from an ended session, or null.';

CREATE TABLE auth_subject (
    subject    TEXT   NOT NULL PRIMARY KEY,
    epoch      BIGINT NOT NULL,
    access_cut BIGINT
) WITH (fillfactor = 80);

COMMENT ON TABLE auth_subject IS
    'Subjects of auth-layer. The epoch counts how often all sessions of a subject were revoked; a sign-in that began before is refused.';
