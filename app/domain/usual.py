"""Which guests order as usual: each has some orders at hand, which come back with time. Times are in s."""

from dataclasses import dataclass

KEPT = 20_000  # guests who are remembered; a house has some hundred tables


@dataclass(slots=True)
class _Guest:
    """What a guest has at hand, as of when, and requests beyond the usual since all of it was at hand last."""

    at_hand: float
    at: float
    beyond: int = 0


class Usual:
    """Remembers guests, by any name, for as long as they do not have all their orders at hand again."""

    def __init__(self, orders: int, seconds: float) -> None:
        """As usual are `orders` at once, and as many in each further `seconds`."""
        self._orders = orders
        self._per_second = orders / seconds
        self._guests: dict[str, _Guest] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._guests)

    def ask(self, name: str, now: float) -> int:
        """0 where this order is as usual, which takes it from what the guest has at hand; else how far it is beyond."""
        guest = self._guests.get(name)
        if guest is None:
            if len(self._guests) >= KEPT:
                self._forget(now)
            guest = self._guests[name] = _Guest(float(self._orders), now)
        else:
            guest.at_hand = min(self._orders, guest.at_hand + (now - guest.at) * self._per_second)
            guest.at = now
            if guest.at_hand >= self._orders:
                guest.beyond = 0
        if guest.at_hand >= 1:
            guest.at_hand -= 1
            return 0
        guest.beyond += 1
        return guest.beyond

    def _forget(self, now: float) -> None:
        """Forget those who have all at hand again; if there are none such, everybody, who then have."""
        full = self._orders / self._per_second
        self._guests = {
            name: guest
            for name, guest in self._guests.items()
            if guest.at_hand + (now - guest.at) / full * self._orders < self._orders
        }
        if len(self._guests) >= KEPT:
            self._guests.clear()
