"""The rules by which an order is cancelled (docs/decisions/0014-cancelling.md), each taken out."""

from tests.mutations.mutation import DECISION, MODEL, UNIT, Mutation

DECIDE = "app/domain/decide.py"
AGENT = "app/agents/orders.py"
ROW = "app/domain/row.py"

_WRITES = (
    "        partition.write_row(table, decision.row)\n"
    "        partition.write_event(table, messages.order_cancelled(command))\n"
)
_ROW, _EVENT = _WRITES.splitlines(keepends=True)

OF_CANCELLING = [
    Mutation(
        "cancelled-twice",
        "cancelling: an order leaves the total once",
        DECIDE,
        "    if command.version in row.cancelled:\n        return Cancelled(row, again=True)\n",
        "",
        (DECISION,),
        quick=True,
    ),
    Mutation(
        "cancelled-twice-in-the-model",
        "cancelling: the same, seen in the rows",
        DECIDE,
        "    if command.version in row.cancelled:\n        return Cancelled(row, again=True)\n",
        "",
        (MODEL,),
    ),
    Mutation(
        "cancelled-before-it-stood",
        "cancelling: what was not cancelled when it was first read is not when it is read again",
        DECIDE,
        "    if at.offset <= row.offset or command.version > row.version:\n        return NothingCancelled()\n",
        "    if command.version > row.version:\n        return NothingCancelled()\n",
        (DECISION,),
    ),
    Mutation(
        "what-does-not-stand-is-cancelled",
        "cancelling: only an order that stands",
        DECIDE,
        "    if at.offset <= row.offset or command.version > row.version:\n        return NothingCancelled()\n",
        "    if at.offset <= row.offset:\n        return NothingCancelled()\n",
        (DECISION,),
    ),
    Mutation(
        "cancels-end-with-their-session",
        "cancelling: one of a party that has left is told, too",
        DECIDE,
        "        return Cancelled(row, again=True)  # the party has left",
        "        return NothingCancelled()  # the party has left",
        (DECISION, MODEL),
    ),
    Mutation(
        "a-cancel-frees-its-version",
        "cancelling: the table's version stays",
        DECIDE,
        "        total=row.total - command.total,\n",
        "        total=row.total - command.total,\n        version=row.version - 1,\n",
        (DECISION,),
    ),
    Mutation(
        "no-cancel-again",
        "cancelling: one that is read again sends its event again",
        AGENT,
        _WRITES,
        _ROW + "        decision.again or" + _EVENT[7:],
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "no-cancelled-row-again",
        "cancelling: one that is read again sends its row again",
        AGENT,
        _WRITES,
        "        decision.again or" + _ROW[7:] + _EVENT,
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "cancels-are-forgotten",
        "cancelling: the row that the next owner reads tells of it",
        ROW,
        "        cancelled = self.cancelled\n",
        "        cancelled: tuple[int, ...] = ()\n",
        (UNIT + "test_row.py", MODEL),
    ),
]
