#!lua flags=allow-oom
-- KEYS 1 recent   ARGV 1 how long it reaches back, in ms, 2 now, then session ids
-- One that is known stays where it is. Each takes up to two of the oldest with it: the set stays small, and no call is long.
local time = redis.call('TIME')
local oldest = time[1] * 1000 - ARGV[1]
for i = 3, #ARGV do
    redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[i])
end
local old = redis.call('ZRANGE', KEYS[1], '-inf', oldest, 'BYSCORE', 'LIMIT', 0, 2 * #ARGV)
if #old > 0 then
    redis.call('ZREM', KEYS[1], unpack(old))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
