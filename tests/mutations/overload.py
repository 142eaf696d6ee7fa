"""What keeps a worker upright under more than it can take."""

from tests.mutations.mutation import UNIT, Mutation

BREAKER, ADMISSION, USUAL = "app/domain/breaker.py", "app/domain/admission.py", "app/domain/usual.py"
CROWD, FAST_REFUSAL, EDGE = "app/web/crowd.py", "app/web/fast_refusal.py", "app/adapters/edge.py"
BREAKERS, RUSH = "tests/property/test_breaker.py", "tests/property/test_admission.py"

OF_OVERLOAD = [
    Mutation(
        "many-trials",
        "half open, one call finds out and all others are rejected",
        BREAKER,
        '        if self._state != "closed":\n',
        '        if self._state == "open":\n',
        (BREAKERS, UNIT + "test_breaker.py"),
    ),
    Mutation(
        "old-calls-are-trials",
        "what was sent before an outage and comes back late is no trial",
        BREAKER,
        "        if ticket.round != self._round:\n            return\n",
        "",
        (BREAKERS,),
    ),
    Mutation(
        "waits-grow-without-bound",
        "a server that came back is asked within the longest wait",
        BREAKER,
        "min(2 * self._wait, self._rules.longest)",
        "2 * self._wait",
        (BREAKERS,),
    ),
    Mutation(
        "refusals-open-breakers",
        "a refusal is an answer",
        "app/adapters/breaker.py",
        "failed=self._counts(error)",
        "failed=True",
        (UNIT + "test_breaker.py",),
    ),
    Mutation(
        "cut-again-and-again",
        "what waited from before a cut does not cut again",
        ADMISSION,
        "        if asked_at < self._cut_at:\n            return\n",
        "",
        (RUSH,),
    ),
    Mutation(
        "never-open-again",
        "the limit opens when the last late answer is long ago",
        ADMISSION,
        "        factor = 1 + (1 - rules.cut) * since**3\n",
        "        factor = rules.cut\n",
        (RUSH,),
    ),
    Mutation(
        "nobody-is-as-usual",
        "who orders as usual is let through whatever the load",
        USUAL,
        "        if guest.at_hand >= 1:\n",
        "        if guest.at_hand >= self._orders:\n",
        (RUSH,),
    ),
    Mutation(
        "strangers-before-pads",
        "who asks nothing makes room before any pad does",
        CROWD,
        "        for connections in (self._new, self._known):\n",
        "        for connections in (self._known, self._new):\n",
        (UNIT + "test_web_crowd.py",),
    ),
    Mutation(
        "asked-twice",
        "one that is let through is not asked again by the view",
        FAST_REFUSAL,
        "            self._let_through[table] += 1\n",
        "",
        (UNIT + "test_fast_refusal.py",),
    ),
    Mutation(
        "whoever-names-a-token",
        "two tokens in one request are nobody's",
        FAST_REFUSAL,
        "if len(found) == 1 else None",
        "if found else None",
        (UNIT + "test_fast_refusal.py",),
    ),
    Mutation(
        "waits-without-end",
        "past the bound an order is refused at once",
        EDGE,
        "        if len(self._waiting) >= self._max_waiting:\n",
        "        if False:\n",
        (UNIT + "test_edge.py",),
    ),
]
