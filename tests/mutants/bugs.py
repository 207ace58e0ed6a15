"""Deliberate bugs: one small change of the text each, in a copy of the package.

``old`` stands exactly once in its file (a test says so), so that a bug which the code has
outgrown is noticed."""

from __future__ import annotations

from typing import NamedTuple

Room = str


class Bug(NamedTuple):
    """``what`` a person would say is wrong with it."""

    what: str
    file: str
    old: str
    new: str

    @property
    def room(self) -> Room:
        return self.file.split("/")[1]


CALL, MOVES, CONTACT = (
    "gateway/core/room/call.py",
    "gateway/core/room/call_changes.py",
    "gateway/core/signals/contact.py",
)
TESTING, LEAF = "gateway/core/room/call_testing.py", "gateway/core/door/leaf.py"
RELAY = "gateway/core/signals/relay.py"
CHAIN, DELIVERY = (f"gateway/core/notification/{name}.py" for name in ("escalation", "delivery"))
DOOR, RULES, OPENING, LOCK = (
    f"gateway/core/door/{name}.py" for name in ("door", "rules", "opening", "interlock")
)
SCHEDULE, OCCUPANCY = "gateway/core/door/schedule.py", "gateway/core/room/occupancy.py"
SAVED_VALUES = "gateway/core/saved_values.py"
COMMANDS, SAVED_STATE, RESTORE, LOOP = (
    f"gateway/core/building/{name}.py"
    for name in ("commands", "saved_state", "after_restart", "loop")
)
STORE, QUEUE, PENDING_REPLIES, RECOVERY, SALVAGE = (
    f"gateway/journal/{name}.py"
    for name in ("store", "queue", "pending_replies", "recovery", "salvage")
)
OUTBOX, PUBLISHER, DESK = (
    f"gateway/link/{name}.py" for name in ("outbox", "publisher", "commands")
)
RECORDER, INGEST, SEQUENCES = (
    f"gateway/recorder/{name}.py" for name in ("recorder", "ingest", "sequences")
)
TIMESTAMPS, STATE, GAPS = (
    f"gateway/recorder/{name}.py" for name in ("used_timestamps", "state", "gaps")
)

BUGS: tuple[Bug, ...] = (
    # --- core: calls
    Bug(
        "the cancel button is ignored",
        CALL,
        "    return ended(let_go, call.record, event.point, event.at_ms)",
        "    return let_go, ()",
    ),
    Bug(
        "an acknowledgement from afar ends the call",
        CALL,
        "    after_ms = record.after(now)\n    after = replace(\n        record,\n"
        '        state="ack',
        "    return ended(call, record, None, now)\n    after_ms = record.after(now)\n"
        '    after = replace(\n        record,\n        state="ack',
    ),
    Bug(
        "who has only seen a call silences it",
        CALL,
        "    after = replace(record, seen=At(now), seen_by=event.by)",
        '    after = replace(record, state="acknowledged", seen=At(now), seen_by=event.by)',
    ),
    Bug(
        "a call that was only seen is acknowledged",
        DESK,
        "        return known is not None and known.may is not None",
        "        return False",
    ),
    Bug(
        "a cord that cannot be read ends the call",
        CALL,
        '    if event.cord == "unknown":\n        return after, ()',
        '    if event.cord == "unknown":\n        return replace(after, record=None), ()',
    ),
    Bug(
        "nobody attends, and it is not raised again",
        CALL,
        '        anew = again(record, "unattended", now)',
        "        anew = without_deadline(record)\n        return replace(call, record=anew), ()",
    ),
    Bug(
        "a second cord is not told",
        CALL,
        "    known = point in record.points\n",
        "    known = True\n",
    ),
    Bug(
        "a call does not survive a restart",
        RESTORE,
        '        *_calls(building, was, saved.get("calls")),\n',
        "",
    ),
    Bug(
        "alarms do not survive a restart",
        SAVED_STATE,
        "alarms=tuple(listed(building.alarms)),",
        "alarms=(),",
    ),
    # --- core: messages
    Bug(
        "who could not be told is waited for",
        CHAIN,
        "                self.chain = replace(chain, due=At(self.now))\n"
        "            elif not self._reached_or_waiting():",
        "                pass\n            elif not self._reached_or_waiting():",
    ),
    Bug(
        "the chain ends after its first step",
        CHAIN,
        "        next_ms = due_ms(chain, index, self.now) if",
        "        next_ms = None if",
    ),
    Bug(
        "a message that failed counts as read",
        DELIVERY,
        'result: Result = "delivered" if ok else "failed"',
        'ok = True\n        result: Result = "delivered"',
    ),
    # --- core: doors
    Bug(
        "the button outside opens at night",
        RULES,
        '_row("yes", "no", "already open", "no", "no")',
        '_row("yes", "no", "already open", "yes", "no")',
    ),
    Bug(
        "the remote opens in exit only",
        RULES,
        '_row("yes", "no", "already open", "no", "no")',
        '_row("yes", "yes", "already open", "no", "no")',
    ),
    Bug(
        "the button inside does not open at night",
        RULES,
        '_row("yes", "yes", "already open", "egress", "no")',
        '_row("yes", "yes", "already open", "no", "no")',
    ),
    Bug(
        "a pulse is half as long",
        OPENING,
        "plan.pulse_ms is None else plan.pulse_ms)",
        "plan.pulse_ms is None else plan.pulse_ms // 2)",
    ),
    Bug(
        "a pulse never ends by itself",
        OPENING,
        "    if opening.driving:\n        return _rest(opening, plan, now)\n    opening = replace(",
        "    if opening.driving:\n        return replace(opening, until_ms=None)\n"
        "    opening = replace(",
    ),
    Bug(
        "both doors of an interlock open",
        LOCK,
        "        return interlock.busy == (door,)",
        "        return True",
    ),
    Bug(
        "a command has no end",
        DOOR,
        "    if request.expires_ms is not None and now >= request.expires_ms:",
        "    if False:",
    ),
    Bug(
        "a late command is obeyed",
        COMMANDS,
        "late = building.now_ms >= event.expires_ms and",
        "late = building.now_ms >= event.expires_ms + 10**9 and",
    ),
    Bug(
        "the timetable runs by an untrusted clock",
        SCHEDULE,
        "offset_ms = utc_ms - now if trusted else None",
        "offset_ms = utc_ms - now",
    ),
    Bug(
        "a press during the pulse is answered twice",
        COMMANDS,
        '    return [*work, Emit((Reply(event.id, "refused", reason),))]',
        '    return [*work, Emit((Reply(event.id, "refused", reason),) * 2)]',
    ),
    # --- core: points
    Bug(
        "a relay is on for ten times its limit",
        RELAY,
        "limit_at_ms=now + limit_ms if on",
        "limit_at_ms=now + 10 * limit_ms if on",
    ),
    Bug(
        "a limited relay is switched on again at once",
        RELAY,
        "            if free.limited:",
        "            if False:",
    ),
    Bug("every spike is a press", CONTACT, "max(edge_ms + after.plan.settle_ms, now + 1)", "now"),
    Bug(
        "a press needs two seconds",
        CONTACT,
        "max(edge_ms + after.plan.settle_ms, now + 1)",
        "max(edge_ms + after.plan.settle_ms, now + 2000)",
    ),
    Bug(
        "a contact that is found closed after a fault was pressed",
        CONTACT,
        "before = contact.first if contact.active is None else contact.active",
        "before = bool(contact.active)",
    ),
    Bug(
        "a button pressed right after the start is not seen",
        CONTACT,
        "before = contact.first if contact.active is None else contact.active",
        "before = contact.active",
    ),
    Bug(
        "deadlines are lived late",
        LOOP,
        '            self._fields["now_ms"] = max(due_ms, self.building.now_ms)',
        '            self._fields["now_ms"] = self.until_ms',
    ),
    Bug(
        "an empty room counts as occupied",
        OCCUPANCY,
        'passed_ms * (one.belief == "occupied")',
        'passed_ms * (one.belief != "unknown")',
    ),
    # --- core: what only the later kinds of the simulation meet
    Bug(
        "test mode is prolonged for ever",
        TESTING,
        'return "test_limit" if now + for_ms > call.test_from_ms + TEST_LIMIT_MS else ""',
        'return ""',
    ),
    Bug(
        "the next test mode begins at once",
        TESTING,
        '        return "test_pause"\n',
        '        return ""\n',
    ),
    Bug(
        "test mode begins right after a call",
        TESTING,
        "AFTER_CALL_MS: Ms = 120_000",
        "AFTER_CALL_MS: Ms = 0",
    ),
    Bug(
        "test mode begins over a call",
        TESTING,
        '        return "call"\n',
        "        pass\n",
    ),
    Bug(
        "who hangs on the cord at the end of a test is no call",
        TESTING,
        '    if fresh or any(call.cord(point) == "pulled" for point in points_of(call.plan)):',
        "    if fresh:",
    ),
    Bug(
        "a pull in the last minute of a test is a test",
        TESTING,
        "at_ms < call.test_until_ms - LAST_MINUTE_MS",
        "at_ms < call.test_until_ms",
    ),
    Bug(
        "a test call is a test after a restart, too",
        "gateway/core/room/call_restart.py",
        "    if saved.test:\n",
        "    if False:\n",
    ),
    Bug(
        "what staff have chosen ends with a restart",
        RESTORE,
        "override, carried = was.overrides.get(name), was.modes.get(name)",
        "override, carried = None, was.modes.get(name)",
    ),
    Bug(
        "a clock in doubt ends what staff have chosen",
        SCHEDULE,
        "if schedule.settled and until_utc_ms <= now + offset_ms:",
        "if until_utc_ms <= now + offset_ms:",
    ),
    Bug(
        "a restart has no uptime before it",
        SAVED_VALUES,
        "return None if uptime_ms is None else uptime_ms - times.uptime_ms",
        "return None if uptime_ms is None else uptime_ms - times.uptime_ms - 10_800_000",
    ),
    Bug(
        "a button that is held at the start was pressed",
        CONTACT,
        "pressed=active is True and not stuck and before is False,",
        "pressed=active is True and not stuck and (before is False or initial),",
    ),
    Bug(
        "a bounce of two milliseconds is a press",
        CONTACT,
        "edge_ms - contact.raw_ms >= contact.plan.settle_ms:",
        "edge_ms - contact.raw_ms >= 2:",
    ),
    Bug(
        "a leaf that does not answer is no fault",
        LEAF,
        "        leaf = _no_answer(leaf, plan, now)\n",
        "        leaf = replace(leaf, attempt=None)\n",
    ),
    Bug(
        "a restart heals a door that does not open",
        RESTORE,
        'return one.plan.leaf is None or (result is not None and result.result == "opened")',
        "return True",
    ),
    Bug(
        "a door that was asked counts as opened",
        LEAF,
        "    if leaf.seen is not None or leaf.opened is not None:\n        return Step(leaf)\n"
        '    return _open(leaf, plan, now, leaf.attempt.cause if leaf.attempt else "request", '
        "assumed=True)",
        "    if leaf.opened is not None:\n        return Step(leaf)\n"
        '    return _open(leaf, plan, now, "request", assumed=leaf.seen is None)',
    ),
    Bug(
        "a leaf that stays open is no fault",
        LEAF,
        "    if leaf.opened is None:\n        return leaf\n    if leaf.opened.assumed:",
        "    if leaf.opened is None or not leaf.opened.assumed:\n        return leaf\n"
        "    if leaf.opened.assumed:",
    ),
    Bug(
        "a fault that somebody has seen breaks no guarantee",
        "gateway/control/guarantees.py",
        "if alarm.standing and alarm.subject in subjects",
        "if alarm.standing and not alarm.acknowledged_by and alarm.subject in subjects",
    ),
    Bug(
        "lamps are on after a start",
        "gateway/core/building/__init__.py",
        "[Drive(relay.point, False) for relay in plan.relays]",
        "[Drive(relay.point, relay.max_on_ms is None) for relay in plan.relays]",
    ),
    Bug(
        "a reload removes the room of a call",
        RESTORE,
        "return [room for room in standing if room not in there]",
        "return []",
    ),
    Bug(
        "a room without a call cannot be removed",
        RESTORE,
        "if record is not None and not record.test]\n    return",
        "if record is None or not record.test]\n    return",
    ),
    Bug(
        "a call whose room is gone ends",
        RESTORE,
        '            work.append(raised(building, room, "call_orphaned", name))',
        "            pass",
    ),
    Bug(
        "of a call whose room is gone nobody is told",
        "gateway/core/building/wiring_messages.py",
        'if found is None and alarm.kind == "call_orphaned":',
        "if False:",
    ),
    # --- journal
    Bug(
        "the saved state is not written beside facts",
        STORE,
        "            if work.saved_state is not None:\n",
        "            if work.saved_state and not work.facts:\n",
    ),
    Bug(
        "after a failed write the first fact is gone",
        QUEUE,
        "for item in reversed(work.facts):",
        "for item in reversed(work.facts[1:]):",
    ),
    Bug(
        "after a failed write an older saved state wins",
        QUEUE,
        "            if rest.saved_state is None:\n",
        "            if work.saved_state is not None:\n",
    ),
    Bug(
        "what may be in the file is written again",
        STORE,
        "            return self.head.row > before.row",
        "            return False",
    ),
    Bug(
        "what may not be in the file is taken as written",
        STORE,
        "            return self.head.row > before.row",
        "            return True",
    ),
    Bug(
        "a failed write uses numbers up",
        STORE,
        "        head = self.head.copy()",
        "        head = self.head",
    ),
    Bug(
        "what was dropped has no answer",
        STORE,
        '                add_absent(self.connection, lane, first, head.seq[lane], "lost")\n',
        "",
    ),
    Bug(
        "urgent facts are dropped first",
        QUEUE,
        '("local", "routine", "urgent")',
        '("urgent", "routine", "local")',
    ),
    Bug(
        "a reply waits for the disk for ever",
        PENDING_REPLIES,
        "late = [one for one in self._pending if until_ms is None or one.until_ms <= until_ms]",
        "late = [one for one in self._pending if until_ms is None]",
    ),
    Bug(
        "a mended journal keeps its name",
        SALVAGE,
        "    schema.create(connection, schema.new_id())\n    connection.execute",
        '    schema.create(connection, "0" * 11 + "1")\n    connection.execute',
    ),
    Bug(
        "a torn tail is taken for the end",
        RECOVERY,
        'return "the write-ahead log is torn" if',
        'return "" if',
    ),
    Bug(
        "an older copy goes on under the same name",
        STORE,
        "return self.renew() if ahead else self.journal",
        "return self.journal",
    ),
    Bug(
        "a commit is not forced to the disk",
        "gateway/journal/schema.py",
        '"PRAGMA synchronous = FULL"',
        '"PRAGMA synchronous = OFF"',
    ),
    # --- link
    Bug(
        "what was in flight is not sent again",
        OUTBOX,
        "        self._open.clear()\n        self.next = self.cursor + 1",
        "        self._open.clear()",
    ),
    Bug(
        "the cursor jumps over what is not acknowledged",
        OUTBOX,
        "while self._order and self._order[0] not in self._open:",
        "while self._order and self._order[0] <= seq:",
    ),
    Bug(
        "new facts are not looked for",
        PUBLISHER,
        "            source.end = False",
        "            pass",
    ),
    Bug("what is absent is not said", PUBLISHER, "        if absent:\n", "        if False:\n"),
    Bug(
        "a replay leaves the last number out",
        PUBLISHER,
        "rows = [row for row in found if row.seq <= replay.last]",
        "rows = [row for row in found if row.seq < replay.last]",
    ),
    Bug(
        "a hung connection is not noticed",
        PUBLISHER,
        "return bool(self._open) and now_ms",
        "return False and now_ms",
    ),
    Bug(
        "the local lane is published",
        "gateway/wire.py",
        'PUBLISHED: tuple[Lane, ...] = ("urgent", "routine")',
        'PUBLISHED: tuple[Lane, ...] = ("urgent", "routine", "local")',
    ),
    Bug(
        "a refused fact is forgotten",
        PUBLISHER,
        "        if self.aside.add_fact(lane, seq, refusal):",
        "        if lane:",
    ),
    Bug(
        "the cursor waits for a refused fact",
        PUBLISHER,
        '            if sent.what == "fact":\n                self._finish_number(lane, seq)\n'
        "        elif",
        "            pass\n        elif",
    ),
    Bug(
        "a refused message stays in flight",
        PUBLISHER,
        "        self._moved_ms = max(self._moved_ms, now_ms)\n        sent = self._landed(mid)\n"
        "        if sent is not None:",
        "        self._moved_ms = max(self._moved_ms, now_ms)\n        sent = self._open.get(mid)\n"
        "        if sent is not None:",
    ),
    Bug(
        "a refusal ends the connection",
        "gateway/link/link.py",
        "                        self.publisher.refused(mid, reason, self.clocks.mono_ms())",
        '                        self.broker.drop("refused")',
    ),
    Bug(
        "what was refused is absent",
        PUBLISHER,
        "        holes = missing(replay.next, high, [row.seq for row in rows])",
        "        there = [row.seq for row in rows if row.seq not in self.aside.facts[lane]]\n"
        "        holes = missing(replay.next, high, there)",
    ),
    Bug(
        "what was refused is not tried again",
        PUBLISHER,
        "deque(sorted(seq for seq, one in mine.items() if not one.ends))",
        "deque()",
    ),
    Bug("a kept command is obeyed", DESK, "        if retained:\n", "        if False:\n"),
    Bug(
        "a repeated command is obeyed again",
        DESK,
        '            return "duplicate"',
        '            return ""',
    ),
    Bug(
        "a forged signature is believed",
        DESK,
        '            return "next_key"\n        return "bad_signature"',
        '            return "next_key"\n        return "key"',
    ),
    Bug(
        "a key that was replaced is accepted",
        DESK,
        '            return "bad_signature" if is_replaced else "key"',
        '            return "key"',
    ),
    Bug(
        "an issuer with rights may do everything",
        DESK,
        "        if _RIGHTS.get(name) not in self.may:\n",
        "        if False:\n",
    ),
    Bug(
        "an issuer opens any door at any time",
        DESK,
        "        if door is None or local is None:\n            return False\n",
        "        if True:\n            return True\n",
    ),
    Bug(
        "an unsigned command is believed",
        DESK,
        '            return "unsigned"',
        '            return "key"',
    ),
    Bug(
        "an unknown issuer is believed",
        DESK,
        '            return "", "unsigned", False',
        '            return "", "", False',
    ),
    Bug(
        "a late command comes through",
        DESK,
        '            return "too_old"',
        '            return ""',
    ),
    Bug(
        "a command from the future comes through",
        DESK,
        '            return "from_future"',
        '            return ""',
    ),
    Bug(
        "a command from before the start comes through",
        DESK,
        '            return "before_start"',
        '            return ""',
    ),
    Bug("a command begins its life anew", DESK, " - max(0, now.utc_ms - issued_ms)\n", "\n"),
    Bug(
        "commands come through without a clock",
        DESK,
        '            return "clock_untrusted"',
        "            pass",
    ),
    # --- recorder
    Bug(
        "the store is not asked whether it takes anything",
        "gateway/recorder/stores/http.py",
        "        self._send([line(probe_point(self._utc_ms()))])",
        "        pass",
    ),
    Bug(
        "whatever answers is the store",
        "gateway/recorder/stores/http.py",
        "        if not self._is_store(answer):",
        "        if False:",
    ),
    Bug(
        "acknowledged before it is stored",
        RECORDER,
        "        if not self._write(batch, stop):\n            return\n"
        "        self._broker.acknowledge(messages)",
        "        self._broker.acknowledge(messages)\n        if not self._write(batch, stop):\n"
        "            return",
    ),
    Bug(
        "a gap is passed over",
        SEQUENCES,
        "            if low <= through + 1:",
        "            if low:",
    ),
    Bug(
        "the last facts are not missed",
        INGEST,
        "            batch.heads[key] = head",
        "            pass",
    ),
    Bug(
        "a replay is not asked for",
        RECORDER,
        "            if request is not None:\n",
        "            if request is None:\n                continue\n            if False:\n",
    ),
    Bug(
        "a fact that comes again gets a time of its own",
        TIMESTAMPS,
        "    if moved_ms is not None or seen:",
        "    if moved_ms is not None:",
    ),
    Bug(
        "two facts of one millisecond are one point",
        TIMESTAMPS,
        "    if at and ms <= runs[at - 1][1]:",
        "    if False:",
    ),
    Bug(
        "a store that was restarted is trusted",
        RECORDER,
        "        if known is not None and known != now:",
        "        if False:",
    ),
    Bug(
        "not far enough back behind a mark",
        STATE,
        "return 0 if last is None else int(last) - 9_999",
        "return 0 if last is None else int(last)",
    ),
    Bug(
        "a mark vouches for what is forgotten",
        INGEST,
        "            self._state.lower_marks(key, mark)\n",
        "",
    ),
    Bug(
        "a mark vouches for what waits for its time",
        INGEST,
        "ledger.mark(key, self._stored(key, new), now_ms)",
        "ledger.mark(key, new.through, now_ms)",
    ),
    Bug(
        "what waited and comes again is two points",
        INGEST,
        "            if (key, event.seq) in waited:\n",
        "            if False:\n",
    ),
    Bug(
        "absent is believed beyond the head",
        INGEST,
        "low, high = max(one[0], 1), min(one[1], head)",
        "low, high = max(one[0], 1), one[1]",
    ),
    Bug(
        "a request that was lost is not repeated",
        GAPS,
        "            tries += 1\n",
        "            return asking, None\n",
    ),
)
