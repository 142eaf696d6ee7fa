"""How a display goes on behind the last event, at any worker."""

from tests.mutations.mutation import UNIT, Mutation

BOARD, STREAMS = "app/web/board.py", "app/web/ticket_streams.py"
RESUMING = (UNIT + "test_resuming.py", UNIT + "test_bench_kitchen.py")

OF_RESUMING = [
    Mutation(
        "half-a-record-counts-as-whole",
        "an id tells how many of a record's events the client has",
        BOARD,
        "        if not is_last:\n",
        "        if False:\n",
        RESUMING,
    ),
    Mutation(
        "half-a-record-is-told-again",
        "of a record that was told in part, the rest is told",
        BOARD,
        "        return count if entry.offset == offset else 0\n",
        "        return 0\n",
        RESUMING,
    ),
    Mutation(
        "told-by-another-worker-told-again",
        "what another worker has told already is left out",
        BOARD,
        "        if entry.offset < offset:\n            return None\n",
        "",
        RESUMING,
    ),
    Mutation(
        "ids-fall-back",
        "an id never falls behind what another worker has told",
        BOARD,
        "[max(place, floor) for place, floor in zip(places, self._floor, strict=True)]",
        "[place for place, _ in zip(places, self._floor, strict=True)]",
        RESUMING,
        quick=True,
    ),
    Mutation(
        "goes-on-at-the-newest-place",
        "a stream goes on where the partition begins that is furthest behind",
        BOARD,
        "            return all(read <= offset for",
        "            return any(read <= offset for",
        RESUMING,
    ),
    Mutation(
        "waits-with-more-at-hand",
        "a stream that was told a piece goes on with the next one",
        STREAMS,
        "            if cursor.is_behind:\n",
        "            if False:\n",
        RESUMING,
    ),
]
