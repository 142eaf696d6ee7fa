"""Every drill there is, in the order in which they are run: drills on equal stands stand together."""

from app.drill.drill import Drill
from app.drill.drills import (
    alerts,
    backlog,
    catchup,
    clock,
    disk,
    everything,
    kitchen,
    ledger,
    links,
    menu,
    mixed,
    overload,
    replay,
    sequence,
    servers,
    topics,
    workers,
    zombies,
)

ORDERS = (
    Drill("mixed", "32 tables; a tenth each sent twice, stale, again later", lambda stack, _: mixed.run(stack)),
    Drill("sequence", "1,000 orders of one table in a row", lambda stack, _: sequence.run(stack)),
    Drill("replay", "an order again after 5,000 more at its table", lambda stack, _: replay.run(stack)),
    Drill("catchup", "5,000 orders while no ledger runs", lambda stack, _: catchup.run(stack)),
)
DRILLS: tuple[Drill, ...] = (
    *ORDERS,
    *workers.DRILLS,
    *ledger.DRILLS,
    *servers.ON_ONE_NODE,
    *menu.DRILLS,
    *kitchen.ON_PLAIN,
    *overload.ON_PLAIN,
    *backlog.DRILLS,
    *everything.DRILLS,
    *topics.DRILLS,
    *zombies.DRILLS,
    *kitchen.DRILLS,
    *links.DRILLS,
    *servers.ON_THREE_NODES,
    *disk.DRILLS,
    *clock.DRILLS,
    *overload.DRILLS,
    *alerts.DRILLS,
)
BY_NAME = {drill.name: drill for drill in DRILLS}
