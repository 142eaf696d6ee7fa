"""Choices that a schedule's number settles."""


class Dice:
    """A number as a row of small choices."""

    def __init__(self, number: int) -> None:
        self.number = number

    def pick(self, count: int) -> int:
        """One of 0 … count - 1."""
        self.number, picked = divmod(self.number, max(count, 1))
        return picked

    def one_in(self, count: int) -> bool:
        """True once in so many."""
        return self.pick(count) == count - 1
