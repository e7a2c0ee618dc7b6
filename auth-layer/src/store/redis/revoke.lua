#!lua flags=allow-oom
-- KEYS 1 session   ARGV 1 now, 2 by, 3 whether the answer to the same call may have been lost
-- Of a session that was revoked before it returns only when.
local at, by = unpack(redis.call('HMGET', KEYS[1], 'revoked_at', 'revoked_by'))
if at and not (ARGV[3] == '1' and at == ARGV[1] and by == ARGV[2]) then
    return {'revoked_at', at}
end
if redis.call('EXISTS', KEYS[1]) == 0 then
    return {}
end
redis.call('PUBLISH', 'auth_revoked', string.match(KEYS[1], '{(.+)}'))
redis.call('HSET', KEYS[1], 'revoked_at', ARGV[1], 'revoked_by', ARGV[2])
return redis.call('HGETALL', KEYS[1])
