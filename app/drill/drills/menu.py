"""The menu while what stands behind it is away, and an order of a dish that sells out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from app.bench.load import Plan, pool_of
from app.drill.drill import fault, short
from app.drill.pad import Pad, told
from app.drill.scene import NotHealedError, Scene

LOOK_SECONDS = 0.02  # between two guests who open the menu
AWAY = 12.0  # s; above `menu.fresh`, so that every worker has looked in vain
DISH = "salmon-of-the-day"  # the load does not know it, and goes on
DISH_ITSELF = {
    "name": "Salmon of the Day",
    "price": 21.5,
    "category": "Mains",
    "station": "grill",
    "description": "Wild",
}
NO_MENU = b'{"error":"Fetch failed"}'

Menu = tuple[int, bool, bytes]  # status, whether it says that it may be old, body


class _Guests:
    """Open the menu all the time; statuses are counted by what was away."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = f"{url}/menu_items"
        self.during = "nothing away"
        self.seen: dict[str, Counter[str]] = {}

    async def run(self) -> None:
        while True:
            try:
                status, is_old, _ = await _menu_of(self._client, self._url)
                answer = f"{status}{' (may be old)' * is_old}"
            except aiohttp.ClientError:
                answer = "no answer"
            self.seen.setdefault(self.during, Counter())[answer] += 1
            await asyncio.sleep(LOOK_SECONDS)


async def _menu_of(client: aiohttp.ClientSession, url: str) -> Menu:
    async with client.get(url) as response:
        return response.status, "Warning" in response.headers, await response.read()


@asynccontextmanager
async def _guests(scene: Scene) -> AsyncIterator[_Guests]:
    async with aiohttp.ClientSession() as client:
        guests = _Guests(client, scene.stack.url)
        task = asyncio.create_task(guests.run())
        try:
            yield guests
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for during, seen in guests.seen.items():
                scene.outcome.facts[f"menu, {during}"] = ", ".join(f"{k}: {n}" for k, n in sorted(seen.items()))


async def _stores_away(scene: Scene) -> None:
    """Redis, Cassandra and both: the menu is served, and orders go on."""
    async with _guests(scene) as guests:
        for names in (("redis-1",), ("cassandra-1",), ("redis-1", "cassandra-1")):
            guests.during = f"{' and '.join(names)} away"
            mark = scene.fault(guests.during)
            await _hold(scene, *names)
            await scene.served(mark)
            await scene.pause(AWAY)
            await _release(scene, *names)
            guests.during = "nothing away"
            await scene.settle()
    for during, seen in guests.seen.items():
        scene.outcome.problems += [f"menu, {during}: {n} times {k}" for k, n in seen.items() if not k.startswith("200")]


async def _hold(scene: Scene, *names: str) -> None:
    for name in names:
        await scene.command("hold", name)


async def _release(scene: Scene, *names: str) -> None:
    for name in names:
        await scene.command("hold", "--release", name)


async def _no_copy(scene: Scene) -> None:
    """A worker starts without any menu: 500 until there is one, then 200 by itself; the other goes on."""
    url = f"http://127.0.0.1:{scene.stack.settings.ports.of('orders', 1)}/menu_items"
    stores = ("redis-1", "cassandra-1")
    scene.fault("a worker starts without any menu")
    await _hold(scene, *stores)
    (scene.stack.settings.data_dir / "menu" / "menu.json").unlink()
    _, pids = scene.kill("orders-1")
    await scene.started(pids)
    async with aiohttp.ClientSession() as client:
        found = await _answer_of(client, url, 500)
        scene.outcome.facts["without any menu"] = f"{found[0]} {found[2].decode()}"
        if found[2] != NO_MENU:
            scene.outcome.problems.append(f"without any menu: {found[2]!r}")
        scene.healed("the stores may start")
        await _release(scene, *stores)
        found = await _answer_of(client, url, 200)
        scene.outcome.facts["with the stores back"] = f"{found[0]}, {len(found[2])} bytes"


async def _answer_of(client: aiohttp.ClientSession, url: str, status: int) -> Menu:
    """The first answer of this status of a worker that may still be starting."""
    found: Menu | None = None
    for _ in range(600):
        with suppress(aiohttp.ClientError):
            found = await _menu_of(client, url)
            if found[0] == status:
                return found
        await asyncio.sleep(0.1)
    raise NotHealedError(f"{url} answered {found}, {status} expected")


async def _sold_out(scene: Scene) -> None:
    """An order is accepted, its dish sells out, its view's worker dies: sent again, it has its first answer."""
    port = scene.stack.settings.ports.of("orders", 1)
    [(table, token)] = await asyncio.to_thread(scene.stack.tokens, ["SOLD-OUT"])
    await _serve(scene)
    plan = Plan(url=f"http://127.0.0.1:{port}", tokens=(), seconds=0)
    async with pool_of(plan) as first, pool_of(Plan(url=scene.stack.url, tokens=(), seconds=0)) as shared:
        there, anywhere = Pad(first, table, token), Pad(shared, table, token)
        accepted = await there.order("before", 0, DISH)
        await scene.command("menu", "sold-out", DISH)
        mark, pids = scene.kill("orders-1")
        again = [await anywhere.order("before", version, DISH) for version in (0, 1)]
        await scene.served(mark)
        await scene.back(pids)
        again.append(await there.order("before", 0, DISH))
        refused = await anywhere.order("after", 1, DISH)
        await scene.command("menu", "remove", "--yes", DISH)
    scene.outcome.facts["accepted"] = told(accepted)
    scene.outcome.facts["sent again"] = "; ".join(map(told, again))
    scene.outcome.facts["another one"] = told(refused)
    if accepted is None or accepted.status != 201:
        scene.outcome.problems.append("the order was not accepted")
    elif any(one is not None and (one.status, one.body) != (201, accepted.body) for one in again) or not again[-1]:
        scene.outcome.problems.append("an order sent again was not answered as before")
    if refused is None or refused.status != 400:
        scene.outcome.problems.append("a dish that is sold out was not refused")


async def _serve(scene: Scene) -> None:
    """Put the dish on the menu; at the worker that is asked it is on at once."""
    manager = (await scene.command("token", "--role", "manager")).split()[-1]
    url = f"http://127.0.0.1:{scene.stack.settings.ports.of('orders', 1)}/menu_items/{DISH}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {manager}"}) as client,
        client.put(url, json=DISH_ITSELF) as response,
    ):
        if response.status != 201:
            raise NotHealedError(f"a new dish was answered {response.status} {await response.text()}")


SOLD_OUT = "an accepted order's dish sells out and its worker dies before it is sent again"
DRILLS = (
    fault("menu-stores", "Redis, Cassandra and both away while guests open the menu", _stores_away),
    fault("menu-none", "a worker starts with Redis and Cassandra away and no copy of the menu", _no_copy),
    fault("menu-sold-out", SOLD_OUT, _sold_out),
)
SHORT = (short("menu-sold-out", SOLD_OUT, _sold_out),)
