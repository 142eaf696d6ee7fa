"""The limits as a script of Redis: what `app/domain/windows.py` does for one worker, for all of them together.

One run judges a request by its table's window and its source's, and takes it from both. Nothing comes between, so that
of many requests at once, over any number of workers, exactly as many are let in as may be.
"""

from hashlib import sha1

from app.adapters.redis_batches import Command
from app.domain.windows import REMEMBERED, Ask, Judgement, Quota, Standing

CLOCK = "redis.call('TIME')"  # s and µs since 1970: of Redis, so that the workers' own clocks need not agree

JUDGE = f"""
local time = {CLOCK}
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function look(key, most, span)
  if most == 0 then return -1, 0 end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - span)
  local used = redis.call('ZCARD', key)
  if used >= most then -- a clock that was set back must not close a table until it is that late again
    redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%d', now + span), '+inf')
    used = redis.call('ZCARD', key)
  end
  if used == 0 then return most, span end
  local index = math.max(0, used - most)
  local oldest = redis.call('ZRANGE', key, index, index, 'WITHSCORES')
  return math.max(0, most - used), oldest[2] + span - now
end

local function take(key, span)
  redis.call('ZADD', key, now, ARGV[1])
  redis.call('PEXPIRE', key, span)
end

local table_most, table_span, source_most, source_span =
  tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local known = 0
if ARGV[6] ~= '' then known = redis.call('HEXISTS', KEYS[3], ARGV[6]) end
local table_left, table_reset = look(KEYS[1], table_most, table_span)
local source_left, source_reset = look(KEYS[2], source_most, source_span)
local is_full = table_left == 0 and known == 0
local refused, wait = 0, 0
if source_left == 0 then
  refused, wait = 2, source_reset
  if is_full then wait = math.max(wait, table_reset) end
else
  if source_most > 0 then
    take(KEYS[2], source_span)
    source_left = source_left - 1
  end
  if is_full then
    refused, wait = 1, table_reset
  elseif table_most > 0 and known == 0 then
    take(KEYS[1], table_span)
    table_left = table_left - 1
  end
end
return table.concat({{refused, wait, table_left, table_reset, source_left, source_reset, known}}, ' ')
"""

# Those of a session stand together, which takes a third of the memory.
ACCEPT = """
redis.call('HSET', KEYS[1], ARGV[1], '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

ALL = (JUDGE, ACCEPT)

_REFUSED = ("", "table", "source")


def digest(script: str) -> str:
    """How Redis names a script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def judge(ask: Ask, table: Quota, source: Quota, script: str = digest(JUDGE)) -> Command:
    """The command that judges a request; `judgement` reads its answer."""
    most = table.most if ask.table else 0
    keys = _table_key(ask), _source_key(ask), _orders_key(ask)
    return ("EVALSHA", script, 3, *keys, ask.ticket, most, table.span, source.most, source.span, ask.mark)


def judgement(answer: bytes) -> Judgement:
    """What the script says."""
    refused, wait, table_left, table_reset, source_left, source_reset, known = map(int, answer.split())
    table, source = Standing(table_left, table_reset), Standing(source_left, source_reset)
    return Judgement(_REFUSED[refused], wait, table, source, bool(known))  # type: ignore[arg-type]  # one of these


def give_back(ask: Ask, *, also_source: bool) -> list[Command]:
    """The commands that let a request count no longer."""
    commands: list[Command] = [("ZREM", _source_key(ask), ask.ticket)] if also_source else []
    return [*commands, ("ZREM", _table_key(ask), ask.ticket)] if ask.table else commands


def accepted(ask: Ask, script: str = digest(ACCEPT)) -> Command:
    """The command that makes an order known."""
    return "EVALSHA", script, 1, _orders_key(ask), ask.mark, REMEMBERED


# What one run looks at has one hash tag, so that it stands on one node of a Redis cluster.


def _table_key(ask: Ask) -> str:
    return f"limit:{{{ask.table or ask.source}}}:table"


def _source_key(ask: Ask) -> str:
    return f"limit:{{{ask.table or ask.source}}}:source:{ask.source}"


def _orders_key(ask: Ask) -> str:
    return f"limit:{{{ask.table or ask.source}}}:orders:{ask.session}"
