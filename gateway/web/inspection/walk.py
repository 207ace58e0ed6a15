"""The guided walk: which steps a room or door has, and what the gateway saw of them itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.facts import Json
from gateway.core.point_roles import ACTIVATORS, CALL_RELAYS
from gateway.core.snapshot_types import DoorShown, RoomShown
from gateway.journal.queries.reader import Reader
from gateway.web.building.records import Unavailable
from gateway.web.identity.accounts import Who
from gateway.web.presenter.terminals import Terminals
from gateway.web.shared.problems import Problem
from gateway.web.shared.words import Words
from gateway.web.site import Site
from gateway.web.storage.store import Author
from gateway.web.storage.testbook import (
    EVERY_MS,
    KINDS,
    Answer,
    Kind,
    Page,
    Result,
    Step,
    TestBookFull,
)
from gateway.wire import Row

TEST_MS = 1_800_000
"""Test mode for the walk: the longest there is. It ends with the signature."""
LAMPS = tuple(role.key for role in CALL_RELAYS)
PRESSED = tuple(role.name for role in ACTIVATORS)
SEEN_IN = {
    "pull": ("call_raised",),
    "lit": ("relay_changed",),
    "presence": ("call_attended",),
    "cancel": ("call_cancelled",),
    "dark": ("relay_changed",),
    "press": ("door_request", "door_opened"),
    "closes": ("door_opened", "door_closed"),
}
"""In which facts the gateway sees a step."""


@dataclass(frozen=True, slots=True)
class Seen:
    """When the gateway saw that a step was done, and how long it took where that counts."""

    utc_ms: int | None
    took_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be tested. ``last_utc_ms``: when it was last in order, or never."""

    kind: Kind
    subject: str
    name: str
    last_utc_ms: int | None
    due_utc_ms: int | None
    overdue: bool
    page: int | None
    """The page that was begun and is not signed."""


def _subjects(site: Site, kind: Kind) -> Mapping[str, RoomShown] | Mapping[str, DoorShown]:
    return site.control.rooms if kind == "call" else site.control.doors


def due(site: Site) -> list[Due]:
    """Every room with a call system and every door, what is overdue first."""
    now, last = site.control.now_utc_ms, site.testbook.last_passed()
    begun = {(page.kind, page.subject): page.id for page in site.testbook.open_pages()}
    found = []
    for kind in KINDS:
        for id, subject in _subjects(site, kind).items():
            if kind == "call" and not subject.get("call"):
                continue
            at = last.get((kind, id))
            until = None if at is None else at + EVERY_MS[kind]
            overdue = until is None or until < now
            name = str(subject.get("name") or id)
            found.append(Due(kind, id, name, at, until, overdue, begun.get((kind, id))))
    return sorted(found, key=lambda one: not one.overdue)


def _served(terminals: Terminals, owner: str) -> Iterator[tuple[str, str]]:
    """(point, part) of everything that serves a door or room of this name."""
    for point, (name, part) in terminals.served.items():
        if name == owner:
            yield point, part


def steps_of(site: Site, kind: Kind, subject: str) -> list[Step]:
    """The steps of a walk. Raises :class:`Problem` 404 where there is no such subject."""
    found = _subjects(site, kind).get(subject)
    if found is None or (kind == "call" and not found.get("call")):
        raise Problem(404, "unknown_room" if kind == "call" else "unknown_door")
    words = {language: site.words(language) for language in site.options.languages}
    owner = str(found.get("name") or subject)
    return steps_for(kind, found, owner, site.options.terminals, words)


def steps_for(
    kind: Kind,
    subject: Mapping[str, object],
    owner: str,
    terminals: Terminals,
    words: Mapping[str, Words],
) -> list[Step]:
    """The same for a room or door as ``control`` shows it, whose name is ``owner``."""
    names = {
        point: {language: terminals.name(said, point) for language, said in words.items()}
        for point in terminals.served
    }
    parts = list(_served(terminals, owner))
    if kind == "door":
        return list(_door_steps(parts, names))
    return list(_call_steps(subject, parts, names))


_Names = Mapping[str, Mapping[str, str]]


def _call_steps(
    room: Mapping[str, object], parts: Sequence[tuple[str, str]], names: _Names
) -> Iterator[Step]:
    yield Step("begin", "begin", True)
    cords, lamps = room.get("cords"), room.get("lamps")
    for point in cords if isinstance(cords, Mapping) else ():
        yield Step(f"pull:{point}", "pull", True, point, names.get(point, {}))
        yield Step(f"reach:{point}", "reach", False, point, names.get(point, {}))
    wired = [part for point, part in parts if part in {f"room_{lamp}" for lamp in LAMPS}]
    if wired:
        yield Step("lit", "lit", True)
    for lamp in LAMPS:
        # Without the wiring at hand the state says what there is: nothing, where it is unknown.
        state = lamps.get(lamp) if isinstance(lamps, Mapping) else None
        if f"room_{lamp}" in wired or (not wired and state is not None):
            yield Step(lamp, lamp, False)
    if any(part == "room_presence" for _, part in parts):
        yield Step("presence", "presence", True)
    yield Step("cancel", "cancel", True)
    yield Step("dark", "dark", bool(wired))


def _door_steps(parts: Sequence[tuple[str, str]], names: _Names) -> Iterator[Step]:
    leaf = any(part == "leaf" for _, part in parts)
    for point, part in parts:
        if part.startswith(PRESSED):
            yield Step(f"press:{point}", "press", True, point, names.get(point, {}))
            if leaf:  # the next press would only hold the open door open
                yield Step(f"closes:{point}", "closes", True, point)
    for word in ("moves", "stops", "by_hand", "marked"):
        yield Step(word, word, False)


def relays(site: Site, page: Page) -> set[str]:
    """The outputs that a call of this room switches."""
    wanted = {f"room_{lamp}" for lamp in LAMPS}
    return {point for point, part in _served(site.options.terminals, page.name) if part in wanted}


async def look(site: Site, page: Page, step: Step) -> Seen | None:
    """What the gateway saw of a step since the page was begun; ``None``: nothing yet.

    Raises :class:`gateway.web.building.records.Unavailable`."""
    kinds = SEEN_IN.get(step.word) if step.measured else None
    if kinds is None:
        return None

    def window(reader: Reader) -> list[Row]:
        return reader.window(page.after_row, 2**53, kinds=kinds)

    return judge(page, step, await site.records.ask(window), relays(site, page))


def judge(page: Page, step: Step, rows: Sequence[Row], lamps: set[str]) -> Seen | None:
    """The same from the facts themselves, oldest first."""
    mine = [row for row in rows if row.subject == page.subject]
    match step.word:
        case "pull":
            hits = [r for r in mine if r.data.get("test") and r.data.get("point") == step.point]
        case "presence":
            hits = mine
        case "closes":  # and has not been opened again since
            hits = [row for row in mine[-1:] if row.kind == "door_closed"]
        case "cancel":
            hits = [r for r in mine if r.data.get("test") and r.data.get("point")]
        case "press":
            return _pressed(mine, step.point)
        case _:
            return _switched([r for r in rows if r.subject in lamps], lamps, step.word == "lit")
    return Seen(hits[-1].utc_ms) if hits else None


def _pressed(rows: Sequence[Row], point: str) -> Seen | None:
    """The leaf left closed after this activator asked for it."""
    asked = False
    found = None
    for row in rows:
        if row.kind == "door_request":
            asked = row.data.get("activator") == point and row.data.get("outcome") == "accepted"
        elif asked:
            took = row.data.get("press_to_open_ms")
            found = Seen(row.utc_ms, took if isinstance(took, int) else None)
    return found


def _switched(rows: Sequence[Row], lamps: set[str], on: bool) -> Seen | None:
    """``on``: every output was switched on once; else all that were are off again."""
    newest = {row.subject: row for row in rows if not on or row.data.get("on")}
    if on:
        done = bool(lamps) and newest.keys() >= lamps
    else:
        done = bool(newest) and not any(row.data.get("on") for row in newest.values())
    return Seen(max(row.utc_ms or 0 for row in newest.values()) or None) if done else None


# --- what the person does -------------------------------------------------------------------


async def begin(site: Site, who: Who, kind: Kind, subject: str) -> Page:
    """A page for this subject: the open one, or a new one. Raises :class:`Problem`."""
    if site.control.settled:
        await site.saver.run(site.testbook.tidy, site.control.now_utc_ms)
    steps = steps_of(site, kind, subject)
    try:
        head = await site.records.head()
    except Unavailable as error:
        raise Problem(503, "no_journal", str(error), Retry_After="1") from None
    found = _subjects(site, kind)[subject]
    name = str(found.get("name") or subject)
    now = site.control.now_utc_ms
    try:
        return await site.saver.run(
            site.testbook.begin,
            kind,
            subject,
            name,
            steps,
            after_row=head,
            now=now,
            author=_author(site, who),
        )
    except TestBookFull:
        raise Problem(409, "testbook_full") from None


def page_of(site: Site, number: int) -> Page:
    """Raises :class:`Problem` 404."""
    page = site.testbook.page(number)
    if page is None:
        raise Problem(404, "unknown_page")
    return page


async def again(site: Site, who: Who, page: Page) -> None:
    """Take back the newest answer; a signed page stays as it is."""
    await site.saver.run(site.testbook.again, page, author=_author(site, who))


def _author(site: Site, who: Who) -> Author:
    """As :data:`gateway.web.access.Maintenance` lets them in."""
    return site.author(who, "maintenance")


async def set_test(site: Site, who: Who, page: Page, for_ms: int) -> None:
    """Begin or end test mode of the room. Raises :class:`Problem` where it is refused, and
    where beginning needs a second factor that was not given lately."""
    if for_ms:
        site.identity.need_fresh_proof(who)
    args: dict[str, Json] = {"room": page.subject, "for_ms": for_ms}
    answer = await site.control.ask("test_room", args, who)
    if answer.unanswered:
        raise Problem(503, answer.reason, Retry_After="1")
    if not answer.done:
        raise Problem(409, answer.reason or "unknown")


def in_test(site: Site, page: Page) -> bool:
    room = site.control.rooms.get(page.subject) if page.kind == "call" else None
    return room is not None and room.get("test_until_ms") is not None


async def answer(site: Site, who: Who, page: Page, step_id: str, said: Answer) -> None:
    """Keep what came of a step; one that has a result keeps it.

    Raises :class:`Problem`: 409 ``not_seen`` where the gateway should have seen it and did not."""
    step = next((step for step in page.steps if step.id == step_id), None)
    if step is None:
        raise Problem(404, "unknown_step")
    if step.id in page.results or page.signed:
        return
    if page.current is not step:
        raise Problem(409, "step_order")
    now, seen = site.control.now_utc_ms, None
    if step.word == "begin" and said == "ok":
        await set_test(site, who, page, TEST_MS)
        seen = Seen(now)
    elif step.measured:
        try:
            seen = await look(site, page, step)
        except Unavailable as error:
            raise Problem(503, "no_journal", str(error), Retry_After="1") from None
        if said == "ok" and seen is None:
            raise Problem(409, "not_seen")
    kept = Result(
        said,
        seen is not None and said == "ok",
        now if seen is None or seen.utc_ms is None else seen.utc_ms,
        None if seen is None else seen.took_ms,
    )
    await site.saver.run(site.testbook.answer, page, step.id, kept, author=_author(site, who))


async def sign(site: Site, who: Who, page: Page, note: str) -> Page:
    """Sign a page: in the user's name, and in the audit chain. Raises :class:`Problem`."""
    if page.signed:
        return page
    if who.user_id is None:
        raise Problem(409, "needs_user")
    if page.current is not None:
        raise Problem(409, "steps_open")
    if not site.control.connected:
        raise Problem(503, "no_panel", Retry_After="1")  # the entry would come late
    if in_test(site, page):
        await set_test(site, who, page, 0)
    signed: Page = await site.saver.run(
        site.testbook.sign,
        page,
        who.user_id,
        note.strip()[:500],
        site.control.now_utc_ms,
        author=_author(site, who),
    )
    await site.handover.send()
    return signed


async def drop(site: Site, who: Who, page: Page) -> None:
    """Leave a walk; a signed page stays. Test mode ends."""
    if page.signed:
        raise Problem(409, "page_signed")
    if in_test(site, page):
        await set_test(site, who, page, 0)
    await site.saver.run(site.testbook.drop, page, author=_author(site, who))
