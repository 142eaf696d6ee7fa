"""The limits, each rule taken out of the code that keeps it."""

from tests.mutations.mutation import UNIT, Mutation

WINDOWS = "app/domain/windows.py"
LIMITER = "app/adapters/limiter.py"
VIEWS = "app/web/limits.py"

OF_THE_LIMITS = [
    Mutation(
        "a-minute-begins-anew",
        "limits: a window slides, request by request",
        WINDOWS,
        "            if taken[oldest] > now - quota.span:\n                break\n            del taken[oldest]\n",
        "            if taken[oldest] > now - quota.span:\n                break\n            taken.clear()\n",
        (UNIT + "test_windows.py",),
    ),
    Mutation(
        "seconds-rounded-down",
        "limits: who waits as long as told has waited long enough",
        VIEWS,
        "    return max(1, -(-milliseconds // 1000))\n",
        "    return max(1, milliseconds // 1000)\n",
        (UNIT + "test_web_limits.py",),
    ),
    Mutation(
        "replays-cost",
        "limits: an accepted order that is sent again costs nothing",
        WINDOWS,
        "        is_known = self._knows(ask, now)\n",
        "        is_known = False\n",
        (UNIT + "test_windows.py",),
    ),
    Mutation(
        "forgotten-replays-cost",
        "limits: nor does one that the limiter has forgotten",
        VIEWS,
        '        if outcome in {"replayed", "session_closed"} and',
        '        if outcome in {"session_closed"} and',
        (UNIT + "test_web_limits.py",),
    ),
    Mutation(
        "outages-cost",
        "limits: an order without an answer costs nothing",
        VIEWS,
        "        self._limiter.give_back(self._verdict, also_source=True)\n",
        "",
        (UNIT + "test_web_limits.py",),
    ),
    Mutation(
        "nobody-is-held-off-longer",
        "limits: who goes on is held off longer each time",
        WINDOWS,
        "        if now - hold.begun >= IN_FLIGHT:\n",
        "        if False:\n",
        (UNIT + "test_windows.py",),
    ),
    Mutation(
        "alone-from-nought",
        "limits: a worker that goes on alone knows what it has let in",
        LIMITER,
        "        here = self._here.judge(ask, now)\n        if here.refused and now < self._both_until:\n",
        "        here = judgement\n        if here.refused and now < self._both_until:\n",
        (UNIT + "test_limiter.py",),
    ),
    Mutation(
        "an-emptied-redis-decides",
        "limits: for a minute after an outage both must agree",
        LIMITER,
        "        if here.refused and now < self._both_until:\n",
        "        if False:\n",
        (UNIT + "test_limiter.py",),
    ),
    Mutation(
        "every-order-waits-for-redis",
        "limits: few orders wait for a Redis that is away",
        "app/adapters/breaker.py",
        "        return self._ticket is not None\n",
        "        return True\n",
        (UNIT + "test_redis_batches.py",),
    ),
    Mutation(
        "proxies-of-anybody",
        "limits: X-Forwarded-For is believed of trusted proxies only",
        "app/domain/addresses.py",
        "        if address is None or not _is_in(address, trusted):\n",
        "        if address is None:\n",
        (UNIT + "test_addresses.py",),
    ),
]
