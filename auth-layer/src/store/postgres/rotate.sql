-- SET sees the row as it was. After a wait for its lock, READ COMMITTED evaluates WHERE and SET anew on the newest one:
-- no sub-select on the same table may take part, since that would stay on the old snapshot.
-- The last condition is false after a wait that was longer than the caller's: a lock that is released late rotates nothing.
-- It counts from the transaction's beginning, as each message of the extended protocol sets the statement's time anew.
UPDATE auth_session AS s SET
    last_outcome = CASE
        WHEN s.generation = r.generation     AND s.current_hash  = r.presented THEN CASE WHEN r.keep_bound AND s.jkt IS NOT NULL THEN 7 ELSE 1 END
        WHEN s.generation - r.generation = 1 AND s.previous_hash = r.presented AND s.current_hash = r.child AND (r.keyed OR coalesce(s.rotated_at >= r.forgiven_since, FALSE)) THEN 2
        WHEN s.generation - r.generation = 2 AND r.keyed AND s.previous_hash = r.child THEN 3
        WHEN s.generation - r.generation = 1 AND s.previous_hash = r.presented THEN 4
        WHEN s.generation > r.generation THEN 5
        ELSE 6 END,
    revoked_at = CASE
        WHEN s.generation <= r.generation THEN NULL
        WHEN s.generation - r.generation = 1 AND s.previous_hash = r.presented AND s.current_hash = r.child AND (r.keyed OR coalesce(s.rotated_at >= r.forgiven_since, FALSE)) THEN NULL
        WHEN s.generation - r.generation = 2 AND r.keyed AND s.previous_hash = r.child THEN NULL
        ELSE r.now END,
    revoked_by = CASE
        WHEN s.generation <= r.generation THEN NULL
        WHEN s.generation - r.generation = 1 AND s.previous_hash = r.presented AND s.current_hash = r.child AND (r.keyed OR coalesce(s.rotated_at >= r.forgiven_since, FALSE)) THEN NULL
        WHEN s.generation - r.generation = 2 AND r.keyed AND s.previous_hash = r.child THEN NULL
        ELSE 'reuse' END,
    idle_expires_at = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented THEN least(r.idle_expires_at, s.absolute_expires_at) ELSE s.idle_expires_at END,
    rotated_at      = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented AND NOT (r.keep_bound AND s.jkt IS NOT NULL) THEN r.now ELSE s.rotated_at END,
    previous_hash   = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented AND NOT (r.keep_bound AND s.jkt IS NOT NULL) THEN s.current_hash ELSE s.previous_hash END,
    ip              = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented THEN coalesce(r.ip, s.ip) ELSE s.ip END,
    user_agent      = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented THEN coalesce(r.user_agent, s.user_agent) ELSE s.user_agent END,
    generation      = s.generation + CASE WHEN s.generation = r.generation AND s.current_hash = r.presented AND NOT (r.keep_bound AND s.jkt IS NOT NULL) THEN 1 ELSE 0 END,
    current_hash    = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented AND NOT (r.keep_bound AND s.jkt IS NOT NULL) THEN r.child ELSE s.current_hash END,
    tag_key_id      = CASE WHEN s.generation = r.generation AND s.current_hash = r.presented AND NOT (r.keep_bound AND s.jkt IS NOT NULL) THEN r.tag_key_id ELSE s.tag_key_id END
FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bytea[], $5::boolean[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::boolean[], $14::float8[], $15::bigint[])
    AS r (id, generation, presented, child, keyed, now, idle_expires_at, forgiven_since, client_id, ip, user_agent, jkt, keep_bound, patience, tag_key_id)
WHERE s.id = r.id AND s.revoked_at IS NULL AND s.idle_expires_at > r.now AND s.absolute_expires_at > r.now
    AND (s.client_id IS NULL OR s.client_id = r.client_id) AND (s.jkt IS NULL OR s.jkt = r.jkt)
    AND clock_timestamp() - transaction_timestamp() < r.patience * interval '1 millisecond'
RETURNING s.id, s.subject, s.client_id, s.scopes, s.label, s.claims, s.auth_time, s.created_at, s.generation, s.current_hash,
    s.previous_hash, s.rotated_at, s.idle_expires_at, s.absolute_expires_at, s.revoked_at, s.revoked_by, s.ip, s.user_agent, s.jkt, s.tag_key_id, s.last_outcome,
    CASE WHEN s.revoked_at IS NOT NULL THEN pg_notify('auth_session_revoked', rtrim(translate(encode(s.id, 'base64'), '+/', '-_'), '='))::text END AS told
