"""What the audit asks of the kitchen: each question left out of the code that asks it."""

from tests.mutations.mutation import UNIT, Mutation

CHECK = "app/audit/check.py"
TICKETS = "app/audit/tickets.py"
KITCHEN = "app/audit/kitchen.py"
OF_TICKETS = (UNIT + "test_audit_tickets.py",)
OF_THE_KITCHEN = (UNIT + "test_audit_kitchen.py",)

OF_THE_AUDIT = [
    Mutation(
        "orders-without-tickets",
        "audit: an order without its tickets is lost",
        CHECK,
        'return [amiss.text] if amiss is not None and amiss.kind == "lost" else []',
        "return []",
        (UNIT + "test_audit_check.py",),
        quick=True,
    ),
    Mutation(
        "any-ticket-will-do",
        "audit: each station of an order has a ticket of it",
        TICKETS,
        "        if lacking := self.lacking(place):\n            return",
        "        if (lacking := self.lacking(place)) and not self._told[place].versions:\n            return",
        OF_TICKETS,
    ),
    Mutation(
        "lines-that-do-not-add-up",
        "audit: an order's tickets have its lines",
        TICKETS,
        "if lines is None or told.lines == lines:",
        "if lines is None or told.lines != NO_LINES:",
        OF_TICKETS,
    ),
    Mutation(
        "cooked-twice",
        "audit: a line stands in one ticket",
        TICKETS,
        "if twice := sorted(set(told.numbers) & set(part.numbers)) or _repeated(part.numbers):",
        "if twice := _repeated(part.numbers):",
        OF_TICKETS,
    ),
    Mutation(
        "told-in-two-ways",
        "audit: a version of a ticket is told in one way, however often",
        TICKETS,
        "return before in (None, content)",
        "return True",
        OF_TICKETS,
    ),
    Mutation(
        "a-kitchen-that-lags-loses-orders",
        "audit: what the kitchen is not done with is not lost",
        TICKETS,
        "if expected.offset >= self.done.get(partition, 0):",
        "if expected.offset > self.done.get(partition, 0):",
        OF_TICKETS,
    ),
    Mutation(
        "a-kitchen-that-lags-is-lost-to-the-auditor",
        "audit: the same, by the auditor",
        KITCHEN,
        "if table.asked is None or done < table.asked[1]:",
        "if table.asked is None:",
        OF_THE_KITCHEN,
    ),
    Mutation(
        "tables-that-order-on-hide-a-loss",
        "audit: an order that was passed over is lost while its table orders on",
        KITCHEN,
        "table.missed = max(gaps, table.asked[0] - table.made, 0)",
        "table.missed = max(0, table.asked[0] - table.made)",
        OF_THE_KITCHEN,
    ),
    Mutation(
        "copied-is-done",
        "audit: what the kitchen has copied is not done with before it is decided on",
        KITCHEN,
        "elif decided >= self._look[1]:",
        "elif copied >= self._look[0]:",
        OF_THE_KITCHEN,
    ),
    Mutation(
        "what-has-expired-is-lost",
        "audit: what has left the log before the first look is not asked for",
        KITCHEN,
        "                table.spare(table.told - table.made)\n",
        "",
        OF_THE_KITCHEN,
    ),
    Mutation(
        "an-auditor-without-lines",
        "audit: the auditor holds the lines of tickets against those of orders",
        KITCHEN,
        "return is_even and self.difference != self.spared_difference",
        "return is_even and False",
        OF_THE_KITCHEN,
    ),
    Mutation(
        "all-tickets-for-ever",
        "audit: of the orders only the newest are kept",
        TICKETS,
        "if len(self._complete) > self._most:",
        "if len(self._complete) > 10 * self._most:",
        OF_TICKETS,
    ),
]
