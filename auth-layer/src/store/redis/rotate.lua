#!lua flags=allow-oom
-- A full server must still end sessions, and what a rotation writes takes the place of what was there.
-- KEYS 1 session   ARGV 1 generation, 2 presented, 3 child, 4 keyed, 5 now, 6 now + idle; each of the rest is empty or
-- has an `=` before it: 7 forgiven since, 8 client id, 9 ip, 10 user agent; 11 jkt or empty, 12 keep bound,
-- 13 when the caller is refused, by this server's clock, in ms, 14 the id of the secret that tags the child, or empty
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 >= tonumber(ARGV[13]) then
    return {8, {}}
end
local key, generation, presented, child, keyed, now = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local fields = redis.call('HGETALL', key)
local s = {}
for i = 1, #fields, 2 do
    s[fields[i]] = fields[i + 1]
end

if not s.generation or s.revoked_at or tonumber(now) >= tonumber(s.idle_expires_at)
    or tonumber(now) >= tonumber(s.absolute_expires_at) or (s.client_id and '=' .. s.client_id ~= ARGV[8])
    or (s.jkt and s.jkt ~= ARGV[11]) then
    return {0, fields}
end

local behind = tonumber(s.generation) - generation
local is_previous = s.previous_hash == presented
local forgiven = ARGV[7] ~= '' and tonumber(s.rotated_at) >= tonumber(string.sub(ARGV[7], 2))
local outcome
if behind == 0 and s.current_hash == presented then
    outcome = s.jkt and ARGV[12] == '1' and 7 or 1
elseif behind == 1 and is_previous and s.current_hash == child and (keyed or forgiven) then
    outcome = 2
elseif behind == 2 and keyed and s.previous_hash == child then
    outcome = 3
elseif behind == 1 and is_previous then
    outcome = 4
elseif behind > 0 then
    outcome = 5
else
    outcome = 6
end

if outcome == 1 or outcome == 7 then
    local idle = ARGV[6]
    if tonumber(idle) > tonumber(s.absolute_expires_at) then
        idle = s.absolute_expires_at
    end
    if outcome == 1 then
        redis.call('HINCRBY', key, 'generation', 1)
        redis.call('HSET', key, 'previous_hash', s.current_hash, 'current_hash', child, 'rotated_at', now, 'idle_expires_at', idle)
        if ARGV[14] ~= '' then
            redis.call('HSET', key, 'tag_key_id', ARGV[14])
        else
            redis.call('HDEL', key, 'tag_key_id')
        end
    else
        redis.call('HSET', key, 'idle_expires_at', idle)
    end
    if ARGV[9] ~= '' then
        redis.call('HSET', key, 'ip', string.sub(ARGV[9], 2))
    end
    if ARGV[10] ~= '' then
        redis.call('HSET', key, 'user_agent', string.sub(ARGV[10], 2))
    end
elseif outcome == 4 or outcome == 5 then
    redis.call('PUBLISH', 'auth_revoked', string.match(key, '{(.+)}'))
    redis.call('HSET', key, 'revoked_at', now, 'revoked_by', 'reuse', 'found', outcome)
else
    return {outcome, fields}
end
return {outcome, redis.call('HGETALL', key)}
