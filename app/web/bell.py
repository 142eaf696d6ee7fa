"""Waking many who wait for the same, without holding up all others."""

import asyncio

AT_A_TIME = 32  # then the event loop does other work: 2,000 pads at once would hold an order up for 0.1 s


class Bell:
    """Rings once; whoever waits is woken, some at a time, and nobody waits from then on."""

    def __init__(self) -> None:
        self._is_rung = False
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        """Returns once it has rung."""
        if self._is_rung:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await woken
        finally:
            self._waiting.discard(woken)

    def ring(self) -> None:
        """Wake all; on the event loop."""
        self._is_rung = True
        for _ in range(min(AT_A_TIME, len(self._waiting))):
            woken = self._waiting.pop()
            if not woken.done():
                woken.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self.ring)
