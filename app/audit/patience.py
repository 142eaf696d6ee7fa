"""What is amiss for a moment only is none: sources are read one after the other, workers die in between."""

from collections.abc import Hashable


class Patience:
    """What is amiss counts once it has been so for the whole of `grace` s, and until it is no more."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: dict[Hashable, float] = {}
        self.lasting: set[Hashable] = set()

    def note(self, key: Hashable, is_amiss: bool, now: float, *, at_once: bool = False) -> bool:
        """How it is now; whether that changed what counts."""
        if not is_amiss:
            self._since.pop(key, None)
            was = key in self.lasting
            self.lasting.discard(key)
            return was
        since = self._since.setdefault(key, now)
        if key in self.lasting or (now - since < self._grace and not at_once):
            return False
        self.lasting.add(key)
        return True

    def start_over(self) -> None:
        """A source was away: what does not count yet gets the whole time once more."""
        self._since.clear()
