-- ?1 id  ?2 generation  ?3 presented  ?4 child  ?5 keyed  ?6 now  ?7 now + idle  ?8 forgiven since, or null
-- ?9 client id  ?10 ip  ?11 user agent  ?12 jkt  ?13 keep bound
UPDATE auth_session SET
    last_outcome = CASE
        WHEN generation = ?2     AND current_hash  = ?3 THEN iif(?13 AND jkt IS NOT NULL, 7, 1)
        WHEN generation = ?2 + 1 AND previous_hash = ?3 AND current_hash = ?4 AND (?5 OR coalesce(rotated_at >= ?8, FALSE)) THEN 2
        WHEN generation = ?2 + 2 AND ?5 AND previous_hash = ?4 THEN 3
        WHEN generation = ?2 + 1 AND previous_hash = ?3 THEN 4
        WHEN generation > ?2 THEN 5
        ELSE 6 END,
    (revoked_at, revoked_by) = (SELECT ?6, 'reuse' WHERE generation > ?2
        AND NOT (generation = ?2 + 1 AND previous_hash = ?3 AND current_hash = ?4 AND (?5 OR coalesce(rotated_at >= ?8, FALSE)))
        AND NOT (generation = ?2 + 2 AND ?5 AND previous_hash = ?4)),
    idle_expires_at = iif(generation = ?2 AND current_hash = ?3, min(?7, absolute_expires_at), idle_expires_at),
    rotated_at      = iif(generation = ?2 AND current_hash = ?3 AND NOT (?13 AND jkt IS NOT NULL), ?6, rotated_at),
    previous_hash   = iif(generation = ?2 AND current_hash = ?3 AND NOT (?13 AND jkt IS NOT NULL), current_hash, previous_hash),
    ip              = iif(generation = ?2 AND current_hash = ?3, coalesce(?10, ip), ip),
    user_agent      = iif(generation = ?2 AND current_hash = ?3, coalesce(?11, user_agent), user_agent),
    generation      = generation + iif(generation = ?2 AND current_hash = ?3 AND NOT (?13 AND jkt IS NOT NULL), 1, 0),
    current_hash    = iif(generation = ?2 AND current_hash = ?3 AND NOT (?13 AND jkt IS NOT NULL), ?4, current_hash)
WHERE id = ?1 AND revoked_at IS NULL AND idle_expires_at > ?6 AND absolute_expires_at > ?6
    AND (client_id IS NULL OR client_id = ?9) AND (jkt IS NULL OR jkt = ?12)
RETURNING *
