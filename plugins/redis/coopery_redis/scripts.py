"""What must happen at once, in the server's own language (Lua 5.1). Redis runs one script at a time, whole.

A script whose answer was lost is sent again: each gives the same answer then. None fails after its first write, except
for want of memory, which Redis looks at before it.
"""

from __future__ import annotations

import hashlib
from typing import Final

from attrs import field, frozen


@frozen
class Script:
    """One script; servers know it by the SHA-1 of its text."""

    text: str
    sha: str = field(init=False)

    @sha.default
    def _sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


PUT: Final = Script("""
-- keys: the record, the index of names; arguments: name, expected generation, new value, SHA-1 of a damaged value
-- answers: 1 stored, 0 what was expected is gone, else the value that is there instead
local type = redis.call('TYPE', KEYS[1]).ok
local newest = type == 'hash' and redis.call('HGET', KEYS[1], 'newest')
if newest and redis.sha1hex(newest) == ARGV[4] then newest = false end
if newest and string.match(newest, '^(%d+) ') ~= ARGV[2] then return newest end
if not newest and ARGV[2] ~= '0' then return 0 end
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' then redis.call('DEL', KEYS[2]) end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
if newest then
    redis.call('HSET', KEYS[1], ARGV[2], newest)
else
    redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'newest', ARGV[3])
return 1
""")

DELETE: Final = Script("""
-- keys: the record, the index of names; argument: name
if redis.call('TYPE', KEYS[2]).ok == 'zset' then redis.call('ZREM', KEYS[2], ARGV[1]) end
return redis.call('DEL', KEYS[1])
""")

_STATE: Final = """
local function now()
    local time = redis.call('TIME')
    return time[1] .. string.format('%06d', time[2])
end
local type = redis.call('TYPE', KEYS[1]).ok
if type ~= 'hash' and type ~= 'none' then redis.call('DEL', KEYS[1]) end
local read = redis.call('HMGET', KEYS[1], 'token', 'beat', 'owner', 'ttl', 'held', 'outcome', 'nonce')
local token, beat, owner, ttl, held, outcome, nonce = unpack(read)
if not (token and string.match(token, '^%d+$') and beat and string.match(beat, '^%d+$')) then
    redis.call('DEL', KEYS[1])
    token, held, outcome = false, false, false
end
"""
"""The state of one lease; what is damaged is absent, since a lease only saves work."""

ACQUIRE: Final = Script(f"""{_STATE}
-- key: the lease; arguments: owner, seconds to live, milliseconds until it is forgotten, nonce, a pulse that is over
-- answers: 1 or 0 for ours or not, token, beat, owner, seconds to live, outcome
if held == '1' and nonce == ARGV[4] then return {{1, token, beat, owner, ttl, outcome or ''}} end
if held == '1' and token .. ' ' .. beat ~= ARGV[5] then return {{0, token, beat, owner, ttl, outcome or ''}} end
if token then
    redis.call('HINCRBY', KEYS[1], 'token', 1)
else
    redis.call('HSET', KEYS[1], 'token', now())
end
redis.call('HSET', KEYS[1], 'beat', 0, 'owner', ARGV[1], 'ttl', ARGV[2], 'held', 1, 'nonce', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {{1, redis.call('HGET', KEYS[1], 'token'), '0', ARGV[1], ARGV[2], outcome or ''}}
""")

RENEW: Final = Script(f"""{_STATE}
-- key: the lease; arguments: token, owner, seconds to live, milliseconds until it is forgotten
-- answers: 1 or 0 for still ours or not
if not token then
    -- The server was restarted, and knows nothing: nobody else holds it, so that the work may go on. The beat is new,
    -- since somebody may have waited out the old one.
    redis.call('HSET', KEYS[1], 'token', ARGV[1], 'beat', now(), 'owner', ARGV[2], 'ttl', ARGV[3], 'held', 1)
elseif held == '1' and token == ARGV[1] then
    redis.call('HINCRBY', KEYS[1], 'beat', 1)
    redis.call('HSET', KEYS[1], 'ttl', ARGV[3])
else
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
""")

RELEASE: Final = Script(f"""{_STATE}
-- key: the lease; arguments: token, outcome, milliseconds until it is forgotten
if held ~= '1' or token ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'held', 0, 'outcome', ARGV[2])
redis.call('HDEL', KEYS[1], 'nonce')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")
