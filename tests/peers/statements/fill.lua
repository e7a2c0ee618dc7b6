-- ARGV 1 from, 2 up to and without, 3 whether they are to be there
for i = ARGV[1], ARGV[2] - 1 do
    local key = string.format('auth_session:{peer-%012d}', i)
    redis.call('UNLINK', key)
    if ARGV[3] == '1' then
        redis.call('HSET', key, 'subject', 'peer', 'scopes', 'read write', 'claims', '{"role":"member"}', 'label', 'Firefox on Linux',
            'auth_time', '1800000000000', 'created_at', '1800000000000', 'generation', '0',
            'current_hash', string.rep('0', 32), 'rotated_at', '1800000000000',
            'idle_expires_at', '1801209600000', 'absolute_expires_at', '1807776000000')
        redis.call('PEXPIREAT', key, '1807776000000')
    end
end
