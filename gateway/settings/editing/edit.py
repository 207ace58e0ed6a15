"""What the page asks of the overlay: show it, try it, write it, go back.

Everything is judged by the loader that every role starts with. The answer holds all that is
wrong, or what counts then and how the next days will be.

Addresses of people come beside the sections and are saved by themselves (:mod:`.addresses`): the
sections and the answer name each by its id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.settings.checks import contact_secrets
from gateway.settings.checks.contact_secrets import Judge
from gateway.settings.checks.links import near_regions
from gateway.settings.checks.wiring_trust import ANY
from gateway.settings.editing.addresses import Addresses
from gateway.settings.editing.changes import changes, taken_back
from gateway.settings.editing.file import BYTES_MOST, SectionsWrong, Store, plain, text
from gateway.settings.editing.preview import coming, preview
from gateway.settings.editing.with_overlay import load_over
from gateway.settings.load import load
from gateway.settings.model.configuration import Settings
from gateway.settings.overlay import OF_A_DOOR, OF_THE_GATEWAY, SECTIONS, merge
from gateway.settings.plan.building import plan
from gateway.settings.values.drivers import DriverInfo
from gateway.settings.values.problems import Problem, SettingsError, parts, phrase
from gateway.settings.values.reading import Reading
from gateway.settings.values.recipients import KINDS, OVER_ACCOUNT, PUSH
from gateway.settings.values.secrets import Secret, places
from gateway.settings.values.tree import Node, parse

Answer = dict[str, Any]


def edit(  # noqa: PLR0911 - one line for each way it can end
    asked: Mapping[str, Any],
    config: Path,
    store: Store,
    drivers: Mapping[str, DriverInfo],
    now_utc_ms: int,
    judge: Judge | None = None,
) -> Answer:
    """``asked``: ``do`` (show, preview, put, undo), ``actor``, ``version`` (that it is based
    on), ``sections`` (of preview and put), ``to`` (of undo; the version before this one), and
    ``addresses`` (of put: key in the sections -> ``kind`` and ``to`` of a new address), and
    ``forget`` (of put: names of contacts, or of users who get push messages, that go from the
    earlier versions, too).
    ``judge``: whether the address of a contact is understood."""
    do = asked["do"]
    try:
        if do == "show":
            return _shown(config, store, drivers, now_utc_ms)
        data = store.data()
        wanted = _wanted(asked, store)
        if do == "put" and asked.get("addresses"):
            return _with_addresses(asked, wanted, config, store, drivers, now_utc_ms, judge)
        made = text(wanted, str(asked.get("actor", "")), now_utc_ms)
        if do != "preview":
            if data is not None and _says(store, data, wanted):
                _forget(asked, store)
                shown = _shown(config, store, drivers, now_utc_ms)
                if not shown.get("settings", {}).get("problems"):
                    return shown  # said twice, done once
            if asked.get("version") != store.version():
                return _refused("changed_meanwhile", version=store.version())
        answer = _tried(made, do, config, store, drivers, now_utc_ms, judge)
        if do == "put" and answer["status"] == "accepted" and asked.get("forget"):
            _forget(asked, store)
            shown = _shown(config, store, drivers, now_utc_ms)
            return {**shown, "changed": True} if shown["status"] == "accepted" else answer
        return answer
    except SectionsWrong as error:
        return _refused("malformed", [Problem("", 0, 0, "", error.args[0])])
    except LookupError:
        return _refused("unknown_version")
    except SettingsError as error:  # of an earlier version, which was damaged since
        return _refused("settings_wrong", error.problems)
    except OSError as error:
        return _refused("not_written", [Problem("", 0, 0, "", error.strerror or str(error))])


def _forget(asked: Mapping[str, Any], store: Store) -> None:
    """Raises :class:`OSError`."""
    names = asked.get("forget") or ()
    for name in [names] if isinstance(names, str) else names:
        store.forget(str(name))


def _refused(reason: str, problems: Any = (), **more: str) -> Answer:
    errors = [
        {
            "key": p.key,
            "message": p.message,
            "hint": p.hint,
            "file": Path(p.file).name,
            "parts": [parts(p.message), parts(p.hint)],
        }
        for p in problems
    ]
    return {"status": "refused", "reason": reason, "errors": errors, **more}


def _says(store: Store, data: bytes, wanted: Any) -> bool:
    """Whether this is what is written already; a file that cannot be read says nothing."""
    try:
        return bool(store.sections(data) == wanted)
    except SettingsError:
        return False


def _wanted(asked: Mapping[str, Any], store: Store) -> Any:
    if asked["do"] != "undo":
        sections = asked.get("sections")
        if not isinstance(sections, dict):
            raise SectionsWrong(phrase("sections: an object"))
        return sections
    to = asked.get("to")
    if to is None:
        before = store.before()
        if not before:
            raise LookupError("nothing to go back to")
        to = before[0].version
    return store.sections(store.old(str(to)))


def _with_addresses(
    asked: Mapping[str, Any],
    wanted: Any,
    config: Path,
    store: Store,
    drivers: Mapping[str, DriverInfo],
    now_utc_ms: int,
    judge: Judge | None,
) -> Answer:
    """Save the addresses first, so that the overlay can be judged with them; they go again where
    it is refused."""
    entered = asked["addresses"]
    if not isinstance(entered, dict):
        raise SectionsWrong(phrase("addresses: an object"))
    if asked.get("version") != store.version():
        return _refused("changed_meanwhile", version=store.version())
    addresses = _addresses(config, store, drivers)
    ids = addresses.add(entered)
    answer: Answer = {}
    try:
        made = text(_named(wanted, ids), str(asked.get("actor", "")), now_utc_ms)
        answer = _tried(made, "put", config, store, drivers, now_utc_ms, judge)
    finally:
        if answer.get("status") != "accepted":
            addresses.remove(ids.values())
    return answer


def _addresses(config: Path, store: Store, drivers: Mapping[str, DriverInfo]) -> Addresses:
    """The folder beside the overlay, with what the configuration allows."""
    settings = load_over(config, drivers, overlay=store.path, need=(), accepted=ANY, adjust=True)
    return Addresses(store.path.parent, settings.messages.page_hosts)


def _named(value: Any, ids: Mapping[str, str]) -> Any:
    """The sections with the ids of addresses in place of their keys."""
    if isinstance(value, list):
        return [_named(one, ids) for one in value]
    if isinstance(value, dict):
        if set(value) == {"address"} and value["address"] in ids:
            return {"address": ids[value["address"]]}
        return {key: _named(one, ids) for key, one in value.items()}
    return value


def _ids(value: Any) -> set[str]:
    """Every address that sections name."""
    if isinstance(value, list):
        return set().union(*map(_ids, value)) if value else set()
    if isinstance(value, dict):
        if set(value) == {"address"}:
            return {str(value["address"])}
        return set().union(*map(_ids, value.values())) if value else set()
    return set()


def _tried(
    made: str,
    do: str,
    config: Path,
    store: Store,
    drivers: Mapping[str, DriverInfo],
    now_utc_ms: int,
    judge: Judge | None,
) -> Answer:
    if len(made.encode()) > BYTES_MOST:
        return _refused("too_large")
    trial = store.path.with_suffix(".trial")
    trial.write_text(made, encoding="utf-8")
    try:
        settings = load(config, drivers, overlay=trial, need=(), accepted=ANY, adjust=True)
    except SettingsError as error:
        return _refused("settings_wrong", error.problems)
    finally:
        trial.unlink(missing_ok=True)
    own = [one.problem for one in settings.adjusted if one.problem.file == str(trial)]
    if own:  # what the file has is in use; what is saved now is wanted right
        return _refused("settings_wrong", own)
    faults = _new_faults(settings, config, store, drivers, judge)
    if do == "undo":  # what was removed stays removed, and whoever is meant is named
        faults = [one for one in faults if not _removed(settings, one.key)]
    if faults:
        return _refused("settings_wrong", faults)
    if do == "preview":
        days = preview(settings, plan(settings, now_utc_ms=now_utc_ms), now_utc_ms)
        return {"status": "accepted", "reason": "", "settings": {"preview": days}}
    store.write(made, now_utc_ms)
    Addresses(store.path.parent).keep(_ids(store.sections(store.data())))
    return {**_shown(config, store, drivers, now_utc_ms), "changed": True}


def _new_faults(
    settings: Settings,
    config: Path,
    store: Store,
    drivers: Mapping[str, DriverInfo],
    judge: Judge | None,
) -> list[Problem]:
    """Addresses that come with this change and that no message can go to."""
    if not contact_secrets.faults(settings, judge):
        return []
    before = load_over(config, drivers, overlay=store.path, need=(), accepted=ANY, adjust=True)
    found = contact_secrets.new_faults(contact_secrets.faults(settings, judge), before)
    return [Problem("", 0, 0, one.key, one.message, one.hint) for one in found]


def _removed(settings: Settings, key: str) -> bool:
    """Whether this is an address from the page that is not there any more."""
    match = re.fullmatch(r"contacts\.([^.]+)\.channels\[(\d+)\]", key)
    if match is None:
        return False
    secret = settings.contacts[match[1]].channels[int(match[2])]
    return secret.of_page and not (secret.places[0] / secret.name).exists()


def _shown(
    config: Path, store: Store, drivers: Mapping[str, DriverInfo], now_utc_ms: int
) -> Answer:
    try:
        settings = load_over(
            config, drivers, overlay=store.path, need=(), accepted=ANY, adjust=True
        )
    except SettingsError as error:
        return _refused("settings_wrong", error.problems)
    data = store.data()
    broken = bool(settings.overlay_problems)
    overlay = {} if broken else store.sections(data)
    addresses = Addresses(store.path.parent, settings.messages.page_hosts)
    root = parse(config.read_bytes(), str(config), [])
    file = plain(root)
    if data is not None and not broken:
        merge(root, parse(data, str(store.path), [], overlay=True), Reading(places(config)))
    days = preview(settings, plan(settings, now_utc_ms=now_utc_ms), now_utc_ms)
    shown = {
        "version": store.version(),
        "overlay": overlay,
        "effective": _effective(root, settings),
        "in_file": {
            section: sorted(file.get(section) or {}) for section in ("contacts", "escalations")
        },
        "secrets": sorted(
            {
                channel.name
                for contact in settings.contacts.values()
                for channel in contact.channels
                if not channel.of_page
            }
        ),
        "ways": {
            name: [
                *(_way(addresses, channel) for channel in contact.channels),
                *([{"kind": PUSH, "shown": contact.push, "address": ""}] if contact.push else []),
            ]
            for name, contact in settings.contacts.items()
        },
        "kinds": [
            kind
            for kind in KINDS
            if kind not in OVER_ACCOUNT or getattr(settings.messages, kind) is not None
        ],
        "problems": list(settings.overlay_problems),
        "addresses": [
            {"key": one.key, "parts": [parts(one.message), parts(one.hint)], "text": str(one)}
            for one in contact_secrets.faults(settings)
        ],
        "before": [
            {"version": one.version, "by": one.by, "utc_ms": one.utc_ms} for one in store.before()
        ],
        "changes": changes(store, file),
        "taken_back": taken_back(store),
        "notes": overlay.get("notes", {}),
        "coming": coming(settings, now_utc_ms),
        "regions": near_regions(settings.gateway.holidays or "DE"),
        "timezone": settings.gateway.timezone,
        "holidays": settings.gateway.holidays,
        "preview": days,
    }
    return {"status": "accepted", "reason": "", "settings": shown}


def _way(addresses: Addresses, channel: Secret) -> dict[str, str]:
    """How one channel is named: an address of the page by its kind and as much of it as may be
    shown (both empty where it is gone), a secret of the configuration by its name."""
    if not channel.of_page:
        return {"kind": "secret", "shown": channel.name, "address": ""}
    kind, shown = addresses.masked(channel.name)
    return {"kind": kind, "shown": shown, "address": channel.name}


def _effective(root: Node, settings: Settings) -> dict[str, Any]:
    """The sections as they count now, in the words in which they are written."""
    whole = plain(root)
    found = {section: whole.get(section) or {} for section in SECTIONS}
    found["gateway"] = {key: found["gateway"].get(key, "") for key in OF_THE_GATEWAY}
    found["rooms"] = {
        name: {
            "name": room.name or name,
            "escalation": room.escalation or "",
            "cord": bool(room.cord),
        }
        for name, room in settings.rooms.items()
    }
    found["doors"] = {
        name: {key: door.get(key) or {} for key in OF_A_DOOR}
        | {
            "name": settings.doors[name].name or name,
            "mode": settings.doors[name].mode or "automatic",
        }
        for name, door in found["doors"].items()
    }
    return found
