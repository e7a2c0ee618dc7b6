-- The single statement of a rotation: ?1 id  ?2 generation  ?3 presented  ?4 child  ?5 keyed  ?6 now  ?7 now + idle  ?8 forgiven since
UPDATE auth_session SET
  last_outcome = CASE
    WHEN generation = ?2     AND current_hash  = ?3 THEN 1
    WHEN generation = ?2 + 1 AND previous_hash = ?3 AND current_hash = ?4 AND (?5 OR rotated_at >= ?8) THEN 2
    WHEN generation = ?2 + 2 AND ?5 AND previous_hash = ?4 THEN 3
    WHEN generation = ?2 + 1 AND previous_hash = ?3 THEN 4
    WHEN generation > ?2 THEN 5
    ELSE 6 END,
  revoked_at = CASE WHEN generation > ?2
      AND NOT (generation = ?2 + 1 AND previous_hash = ?3 AND current_hash = ?4 AND (?5 OR rotated_at >= ?8))
      AND NOT (generation = ?2 + 2 AND ?5 AND previous_hash = ?4) THEN ?6 END,
  idle_expires_at = CASE WHEN generation = ?2 AND current_hash = ?3 THEN min(?7, absolute_expires_at) ELSE idle_expires_at END,
  rotated_at      = CASE WHEN generation = ?2 AND current_hash = ?3 THEN ?6 ELSE rotated_at END,
  previous_hash   = CASE WHEN generation = ?2 AND current_hash = ?3 THEN current_hash ELSE previous_hash END,
  generation      = generation + CASE WHEN generation = ?2 AND current_hash = ?3 THEN 1 ELSE 0 END,
  current_hash    = CASE WHEN generation = ?2 AND current_hash = ?3 THEN ?4 ELSE current_hash END
WHERE id = ?1 AND revoked_at IS NULL AND idle_expires_at > ?6 AND absolute_expires_at > ?6
RETURNING last_outcome, generation, subject, absolute_expires_at
