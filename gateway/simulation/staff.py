"""Those who are told: whether a message arrives, who reads it when, and who comes.

They read late, acknowledge and do not come, come without having acknowledged; and every
working day somebody looks at the alarm list.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial

from gateway.core.effects import Reply, Send
from gateway.core.events import (
    AcknowledgeAlarm,
    AcknowledgeCall,
    ConfirmMessage,
    Delivered,
    ResetAlarm,
)
from gateway.core.instant import Ms
from gateway.simulation.agenda import HOUR, MINUTE, SECOND, Agenda, about
from gateway.simulation.host import Host
from gateway.simulation.rooms import RoomWorld

SENT_IN_MS: tuple[Ms, Ms] = (300, 4_000)
PATIENCE_MS: Ms = 16_000
"""A message that is older is not waited for any more."""


class Staff:
    """``sent`` counts (receiver, what became of it)."""

    def __init__(
        self,
        rooms: dict[str, RoomWorld],
        host: Host,
        agenda: Agenda,
        seed: int,
        fails: float,
    ) -> None:
        self.rooms = rooms
        self.host = host
        self.agenda = agenda
        self.chance = random.Random(f"{seed}/staff")
        self.fails = fails
        self.outage_until_ms: Ms = -1
        self.at_work = False
        self.sent: dict[tuple[str, str], int] = {}
        self.told_ms: dict[str, Ms] = {}
        """Room -> when a message about its call last arrived."""
        self.sent_ms: dict[str, Ms] = {}
        self.acknowledged_ms: dict[str, Ms] = {}
        """Room -> when an acknowledgement was last accepted."""
        self.under_way: Counter[str] = Counter()
        """Room -> messages about its call that nobody has answered for yet."""
        self.on_failed: list[Callable[[str], None]] = []
        """Told the room whose message has failed."""
        self._asked: dict[str, str] = {}
        host.on_send.append(self._sent)
        host.on_reply.append(self._replied)

    # --- messages --------------------------------------------------------------------------

    def _sent(self, send: Send) -> None:
        room = str(send.data.get("room_id") or "")
        if room:
            self.sent_ms[room] = self.agenda.now
            self.under_way[room] += 1
            self.agenda.later(PATIENCE_MS, partial(self._over, room))
        luck = self.chance.random()
        if self.agenda.now < self.outage_until_ms or luck < self.fails * 0.7:
            wait_ms = self.chance.randrange(*SENT_IN_MS)
            self.agenda.later(wait_ms, lambda: self._answer(send, "failed"))
        elif luck < self.fails:
            self._count(send.receiver, "never answered")
        else:
            wait_ms = self.chance.randrange(*SENT_IN_MS)
            self.agenda.later(wait_ms, lambda: self._answer(send, "delivered"))

    def _answer(self, send: Send, result: str) -> None:
        self._count(send.receiver, result)
        ok, about_room = result == "delivered", str(send.data.get("room_id") or "")
        if not ok and about_room and self.host.running:
            for told in self.on_failed:
                told(about_room)
        self.host.tell(Delivered(send.delivery, ok, "" if ok else "no connection"))
        if ok:
            room = str(send.data.get("room_id") or "")
            if room and self.host.running:
                self.told_ms[room] = self.agenda.now
            self.agenda.later(about(self.chance, 90 * SECOND), lambda: self._reads(send))

    def _reads(self, send: Send) -> None:
        """Some messages are read in time; a call that is seen is mostly acknowledged."""
        by, luck = f"link:{send.receiver}", self.chance.random()
        room = self.rooms.get(str(send.data.get("room_id") or ""))
        if send.kind in ("call", "call_again") and room is not None:
            if luck < 0.6:
                envelope = self.host.envelope(by)
                self._asked[envelope[0]] = room.plan.id
                self.host.tell(AcknowledgeCall(*envelope, send.about))
            if 0.1 < luck < 0.75:
                room.helper(about(self.chance, 4 * MINUTE))
        elif send.kind == "test" and luck < 0.8:
            self.host.tell(ConfirmMessage(*self.host.envelope(by), send.delivery))
        elif send.about and luck < 0.5:
            self.host.tell(AcknowledgeAlarm(*self.host.envelope(by), send.about))

    def _replied(self, reply: Reply) -> None:
        room = self._asked.pop(reply.command, None)
        if room is not None and reply.status == "accepted":
            self.acknowledged_ms[room] = self.agenda.now

    def _over(self, room: str) -> None:
        self.under_way[room] -= 1

    def _count(self, receiver: str, result: str) -> None:
        self.sent[receiver, result] = self.sent.get((receiver, result), 0) + 1

    # --- at work ---------------------------------------------------------------------------

    def looks_at_the_list(self) -> None:
        """Everything on the alarm list is seen; what is dry is reset; lamps are followed."""
        for alarm in tuple(self.host.building.alarms.by_id.values()):
            if alarm.kind == "leak":
                self.host.tell(ResetAlarm(*self.host.envelope(), alarm.id))
            if alarm.acknowledged_by is None:
                self.host.tell(AcknowledgeAlarm(*self.host.envelope(), alarm.id))
            room = self.rooms.get(alarm.subject)
            if room is not None and alarm.kind in ("long_stay", "no_motion"):
                room.helper(5 * MINUTE)
        for room in self.rooms.values():
            if room.wanted:
                room.helper(MINUTE)

    def outage(self) -> None:
        """Nothing can be sent for a while."""
        self.outage_until_ms = self.agenda.now + about(self.chance, HOUR)
