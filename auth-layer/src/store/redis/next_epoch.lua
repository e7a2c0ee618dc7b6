#!lua flags=allow-oom
-- KEYS 1 subject   ARGV 1 until when the epoch is kept at least
-- A member of the subject's set, so that it shares its slot and its expiry; other members are sessions.
if not redis.call('ZSCORE', KEYS[1], 'epoch') then
    redis.call('ZADD', KEYS[1], string.format('%.0f', 2 ^ 52), 'epoch')
end
redis.call('ZINCRBY', KEYS[1], 1, 'epoch')
redis.call('PEXPIREAT', KEYS[1], ARGV[1], 'NX')
redis.call('PEXPIREAT', KEYS[1], ARGV[1], 'GT')
