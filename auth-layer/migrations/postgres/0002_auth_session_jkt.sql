ALTER TABLE auth_session ADD COLUMN jkt BYTEA;

-- Not valid: what is there has no key, and reading it all would keep everybody waiting.
ALTER TABLE auth_session ADD CONSTRAINT auth_session_jkt_check CHECK (octet_length(jkt) = 32) NOT VALID;

COMMENT ON COLUMN auth_session.jkt IS
    'SHA-256 thumbprint of the key that has to be proved at each refresh (RFC 9449), or null.';
