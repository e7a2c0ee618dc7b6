ALTER TABLE auth_session ADD COLUMN jkt BLOB CHECK (length(jkt) = 32);

PRAGMA user_version = 2;
