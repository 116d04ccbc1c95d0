-- ARGV[4..]: numbers of messages that were delivered. Answers the first of those that wait: message, number.
for i = 4, #ARGV do
  call('ZREMRANGEBYSCORE', B .. ':b', ARGV[i], ARGV[i])
end
return call('ZRANGE', B .. ':b', 0, 99, 'WITHSCORES')
