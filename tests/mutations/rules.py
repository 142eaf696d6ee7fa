"""Rules 1 to 5 of the log (docs/architecture.md), each taken out of the code that keeps it."""

from tests.mutations.mutation import DECISION, MODEL, UNIT, Mutation

DECIDE = "app/domain/decide.py"
AGENT = "app/agents/orders.py"
PARTITION = "app/agents/partition.py"
ROWS = "app/tables/rows.py"

OF_DECISIONS = [
    Mutation(
        "items-before-ids",
        "rule 1: a known id is answered before anything else is judged",
        DECIDE,
        "    known_hash = id_hash(command.order_id)\n    known = find_known(",
        "    if command.refusal:\n        return InvalidItem(command.refusal)\n"
        "    known_hash = id_hash(command.order_id)\n    known = find_known(",
        (DECISION,),
        quick=True,
    ),
    Mutation(
        "overload-skips",
        "rule 2: every command is decided",
        AGENT,
        "                await self._take(partition, record)\n",
        "                if partition.in_flight < 4:\n                    await self._take(partition, record)\n",
        (MODEL,),
    ),
    Mutation(
        "no-event-again",
        "rule 3: a command read again at its offset sends its event again",
        AGENT,
        "                partition.write_event(table, messages.order_placed(",
        "                decision.again or partition.write_event(table, messages.order_placed(",
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "no-row-again",
        "rule 3: a command read again at its offset sends its row again",
        AGENT,
        "                partition.write_row(table, after)\n                partition.write_event(",
        "                if not decision.again:\n                    partition.write_row(table, after)\n"
        "                partition.write_event(",
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "same-offset-is-a-retry",
        "rule 3: at the offset of its acceptance a command is no guest's retry",
        DECIDE,
        "    if at.offset == known.offset:\n        return Accepted(row, known.version, again=True)\n",
        "",
        (DECISION, MODEL),
        quick=True,
    ),
    Mutation(
        "earlier-offset-is-a-retry",
        "rule 3: before the offset of its acceptance a command was refused, and still is",
        DECIDE,
        "    if at.offset < known.offset:\n        return RefusedBefore()\n",
        "",
        (DECISION,),
    ),
    Mutation(
        "refused-is-tried-anew",
        "rule 3: at or below the row's offset an unknown id was refused, and still is",
        DECIDE,
        "    if at.offset <= row.offset:\n        return RefusedBefore()\n",
        "",
        (DECISION,),
    ),
    Mutation(
        "refused-is-tried-anew-in-the-model",
        "rule 3: the same, seen by guests",
        DECIDE,
        "    if at.offset <= row.offset:\n        return RefusedBefore()\n",
        "",
        (MODEL,),
    ),
    Mutation(
        "answers-at-once",
        "rule 4, in-order acks: nothing is awaited",
        PARTITION,
        "            if head.rows > rows or head.events > events or head.ids > ids:\n                break\n",
        "",
        (UNIT + "test_partition.py",),
        quick=True,
    ),
    Mutation(
        "answers-at-once-in-the-model",
        "rule 4, in-order acks: nothing is awaited",
        PARTITION,
        "            if head.rows > rows or head.events > events or head.ids > ids:\n                break\n",
        "",
        (MODEL,),
    ),
    Mutation(
        "row-not-awaited",
        "the awaited changelog: a row's acknowledgement",
        PARTITION,
        "if head.rows > rows or head.events > events",
        "if head.events > events",
        (MODEL,),
    ),
    Mutation(
        "event-not-awaited",
        "an event's acknowledgement",
        PARTITION,
        "if head.rows > rows or head.events > events or",
        "if head.rows > rows or",
        (MODEL,),
    ),
    Mutation(
        "refusals-do-not-wait",
        "rule 4: replays and refusals wait their turn",
        PARTITION,
        "        lanes = self.lanes\n        self._queue.append(\n",
        "        if answer is not None and answer.outcome not in ('accepted', 'opened', 'closed'):\n"
        "            self._answers.give(reply_to, answer)\n            answer = None\n"
        "        lanes = self.lanes\n        self._queue.append(\n",
        (MODEL,),
    ),
    Mutation(
        "commit-before-ack",
        "rule 4: a command is done with once Kafka has what it led to",
        PARTITION,
        "        lanes = self.lanes\n        self._queue.append(\n",
        "        self._done(self.number, at.offset + 1)\n        lanes = self.lanes\n        self._queue.append(\n",
        (MODEL,),
    ),
    Mutation(
        "former-owner-commits",
        "a partition that went elsewhere is committed by its new owner",
        PARTITION,
        "if completed is not None and not self.revoked:",
        "if completed is not None:",
        (UNIT + "test_partition.py",),
        quick=True,
    ),
    Mutation(
        "rows-by-their-place",
        "rule 5: rows go forward by offset, not by their place in the changelog (as Faust's recovery reads them)",
        ROWS,
        "if mine is None or row.offset >= mine.offset:",
        "if True:",
        (UNIT + "test_rows.py",),
        quick=True,
    ),
    Mutation(
        "rows-in-batches-by-their-place",
        "rule 5: the same, as they are read in batches",
        ROWS,
        "                elif offset >= newest.row_offset:\n",
        "                elif True:\n",
        (MODEL,),
    ),
    Mutation(
        "rows-by-version",
        "rule 5: a version says nothing of a close",
        ROWS,
        "                offset = row_offset(record.value)\n",
        "                row = Row.decode(record.value)\n                offset = row.session * 1_000 + row.version\n",
        (MODEL,),
    ),
    Mutation(
        "no-close-again",
        "rule 5: a close that is read again sends row and event again",
        AGENT,
        '            return _session_answer(command, "unchanged", decision.row)\n'
        "        partition.write_row(table, decision.row)\n        partition.write_event(table, SessionClosed(",
        '            return _session_answer(command, "unchanged", decision.row)\n'
        "        if not decision.again:\n"
        "          partition.write_row(table, decision.row)\n          partition.write_event(table, SessionClosed(",
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "no-opening-again",
        "rule 5: an opening that is read again sends row and event again",
        AGENT,
        "        partition.write_row(table, decision.row)\n        partition.write_event(table, SessionOpened(",
        "        if not decision.again:\n"
        "          partition.write_row(table, decision.row)\n          partition.write_event(table, SessionOpened(",
        (UNIT + "test_orders_agent.py",),
    ),
    Mutation(
        "a-close-closes-any-session",
        "rule 5: a close names its session",
        DECIDE,
        "        if not row.is_open or command.session != row.session:\n            return SessionUnchanged(row)\n"
        "        after = ",
        "        if not row.is_open:\n            return SessionUnchanged(row)\n        after = ",
        (DECISION,),
    ),
    Mutation(
        "an-open-table-opens",
        "sessions: only the one after the last is opened, and only at a table that is closed",
        DECIDE,
        "if row.is_open or command.session != row.session + 1:",
        "if command.session != row.session + 1:",
        (DECISION,),
    ),
    Mutation(
        "any-session-opens",
        "sessions: only the one after the last is opened",
        DECIDE,
        "if row.is_open or command.session != row.session + 1:",
        "if row.is_open:",
        (DECISION,),
    ),
    Mutation(
        "orders-of-closed-sessions",
        "sessions: a token ends with its session",
        DECIDE,
        "    if command.session != row.session or not row.is_open:\n        return SessionClosed()\n",
        "",
        (DECISION,),
    ),
]
