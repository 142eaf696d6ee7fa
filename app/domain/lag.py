"""How far behind the end of a log its reader is, and for how long, from looks at the end now and then."""

from collections import deque

# Of two looks that are nearer to each other than such a part of the time since the oldest, one is kept: the longer a
# reader is behind, the coarser is its age, and the looks of a week take no more room than some thousand.
FINENESS = 500


class Backlog:
    """One partition. Times are in s, by a clock that only goes forward; `place`: the offset before which all is done.

    A record that is not done with came before the first look that saw an end behind it. What had come before the very
    first look is counted from there.
    """

    def __init__(self) -> None:
        self._first = 0
        self._end = 0
        self._looks: deque[tuple[int, float]] = deque()  # (an end, when it was seen), both rising

    def look(self, first: int, end: int, place: int, now: float) -> None:
        """Note the offsets of the log's first record and after its last one."""
        looks = self._looks
        if end < self._end:
            looks.clear()  # the log was made anew
        if not looks or (end > looks[-1][0] and now - looks[-1][1] >= (now - looks[0][1]) / FINENESS):
            looks.append((end, now))
        while len(looks) > 1 and looks[0][0] <= place:
            looks.popleft()
        self._first, self._end = first, end

    def records(self, place: int) -> int:
        """How many records are not done with; what has left the log by its age is not among them."""
        return max(0, self._end - max(self._first, place))

    def age(self, place: int, now: float) -> float:
        """How long the oldest record that is not done with has stood there; 0 without one."""
        place = max(self._first, place)
        looks = tuple(self._looks)  # another thread may look meanwhile
        return next((now - at for end, at in looks if end > place), 0.0)
