#!lua
-- KEYS 1 subject   ARGV 1 session, 2 expires at, 3 now, 4 the epoch that is expected after an `=`, or empty
local epoch = string.format('=%.0f', (redis.call('ZSCORE', KEYS[1], 'epoch') or 2 ^ 52) - 2 ^ 52)
if ARGV[4] ~= '' and ARGV[4] ~= epoch then
    return 0
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[2], 'NX')
redis.call('PEXPIREAT', KEYS[1], ARGV[2], 'GT')
return 1
