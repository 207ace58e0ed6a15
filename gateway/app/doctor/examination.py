"""``portier doctor``: what keeps the gateway from working, each with its remedy.

Every finding names what was observed during this run. What was not tried, or cannot be seen by
this user, is *unknown* and never in order. Each part is examined in a thread of its own, so that
one that hangs ends after a few seconds and delays nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gateway.app import formats
from gateway.app.configuration import load, people
from gateway.app.doctor import backup as doctor_backup
from gateway.app.doctor import broker as doctor_broker
from gateway.app.doctor import centre as doctor_centre
from gateway.app.doctor import files as doctor_files
from gateway.app.doctor import machine as doctor_machine
from gateway.app.doctor import page as doctor_page
from gateway.app.doctor import program as doctor_program
from gateway.app.doctor import store as doctor_store
from gateway.app.findings import Finding, Look, no, not_configured, unknown, yes
from gateway.journal.queries.reader import JournalUnavailable, Reader
from gateway.panel import client
from gateway.settings.checks import contact_secrets
from gateway.settings.model.configuration import Settings
from gateway.settings.values.problems import SettingsError

WITHIN_S = 12.0
"""For all parts together; they are examined at the same time."""
PANEL_WITHIN_S = 3.0


def examine(
    config: Path, state: Path, within_s: float = WITHIN_S, access_list: Path | None = None
) -> list[Finding]:
    """Examine everything. A file of 4 kB in the state folder and two empty messages at the
    broker are all that is written. ``access_list``: a copy of that of a broker elsewhere."""
    if load.of_centre(config):
        return _all(doctor_centre.looks(config, state), within_s)
    panel: list[Finding] = []
    shown = _control(state, panel)
    alone: list[tuple[str, Look]] = [
        ("program", doctor_program.examine),
        ("disk", partial(doctor_machine.disk, state)),
        ("journal", partial(_journal, state)),
        ("formats", partial(formats.examine, state)),
        ("users", partial(doctor_page.users, state)),
    ]
    try:
        # Of contacts and heartbeat each address is a finding of its own.
        settings = load.settings(config, state, need=("mqtt", "record", "web"))
    except SettingsError as error:
        return [doctor_centre.wrong(config, error), *_all(alone, within_s), *panel]
    found = [yes(f"configuration: {config}", "read and checked just now")]
    found += [
        no(f"changes of the page are left out: {text}", f"portier check {config} --state {state}")
        for text in settings.overlay_problems
    ]
    found += [no(str(one), f"portier check {config}") for one in settings.adjusted]
    looks: list[tuple[str, Look]] = [
        ("points", partial(doctor_machine.points, settings, shown)),
        ("broker", partial(doctor_broker.examine, settings, config, state, shown)),
        ("broker's files", partial(doctor_files.examine, settings, config, access_list)),
        ("certificates", partial(doctor_page.certificates, settings, config)),
        ("store", partial(doctor_store.examine, settings, state)),
        ("messages", partial(_people, settings)),
        ("page", partial(doctor_page.page, settings, config)),
        ("backup", partial(doctor_backup.examine, settings, state)),
        ("clock", partial(doctor_machine.clock, settings.gateway.bench, shown)),
        *alone,
    ]
    return [*found, *_all(looks, within_s), *panel]


def _all(looks: list[tuple[str, Look]], within_s: float) -> list[Finding]:
    """The findings of all parts, in this order."""
    results: list[list[Finding]] = [[] for _ in looks]
    over = [threading.Event() for _ in looks]

    def run(place: int, name: str, look: Look) -> None:
        try:
            results[place].extend(look())
        except Exception as error:  # noqa: BLE001 - one part that fails hides no other
            text = f"{type(error).__name__}: {error}"
            results[place].append(
                unknown(f"{name}: could not be examined", "report this, please", text)
            )
        finally:
            over[place].set()

    for place, (name, look) in enumerate(looks):
        # a daemon: what hangs in the kernel or in a name server ends with this process
        threading.Thread(target=run, args=(place, name, look), daemon=True).start()
    deadline = time.monotonic() + within_s
    found: list[Finding] = []
    for place, (name, _) in enumerate(looks):
        done = over[place].wait(max(0.0, deadline - time.monotonic()))
        found += list(results[place])
        if not done:
            found.append(
                unknown(f"{name}: no result within {within_s:g} s", "is a disk or network stuck?")
            )
    return found


def _people(settings: Settings) -> Iterator[Finding]:
    """Whether each address can be used, and each call reaches somebody. Whether a message
    arrives is the guarantee ``messages``."""
    rooms = people.unheard(settings)
    if rooms:
        places = ", ".join(f"rooms.{room}" for room in rooms)
        yield no(
            f"messages: a call in {', '.join(rooms)} is announced to nobody outside of the room",
            f"write contacts:, escalations: and escalation: under {places}",
            "the configuration",
        )
    if not settings.contacts and not rooms:
        what = "messages: nobody is named under contacts:, nobody is notified of a call"
        yield not_configured(what, "write contacts: and escalations:, if somebody shall be")
    if settings.contacts:
        faults = contact_secrets.faults(settings, people.judge)
        for fault in faults:
            yield no(f"messages: {fault.key}: {fault.message}", str(fault.hint), fault.secret)
        count = sum(contact.ways for contact in settings.contacts.values())
        if not faults:
            yield yes(
                f"messages: {len(settings.contacts)} contacts, {count} addresses",
                "examined just now as far as this user may; none was tried",
            )
        if settings.web is None or not settings.web.public_url:
            yield no(
                "messages: carry no link to acknowledge",
                "write web: {public_url: https://…}, the address of the page for phones",
                "the configuration",
            )
    if settings.heartbeat is None:
        yield not_configured("heartbeat: none is configured, a dead gateway is silent")


def _journal(state: Path) -> Iterator[Finding]:
    path = state / "journal.sqlite"
    user = "sudo adduser $USER portier-read, then log in again; or sudo portier doctor"
    reader = Reader(path)
    try:
        if not path.exists():
            yield unknown(
                "journal: there is none yet", "control makes it when it starts", f"no {path}"
            )
            return
        head = reader.head_row()
        newest = reader.before_row(None, 1)
    except PermissionError as error:
        yield unknown("journal: cannot be read by this user", user, str(error))
        return
    except JournalUnavailable as error:
        denied = isinstance(error.__cause__, PermissionError) or "unable to open" in str(error)
        make = unknown if denied else no
        yield make(
            f"journal: cannot be read ({error})",
            user if denied else "portier audit verify; journalctl -u portier-control",
            str(path),
        )
        return
    finally:
        reader.close()
    kind = f", the newest: {newest[0].kind}" if newest else ""
    yield yes(f"journal: {head} rows", f"read just now{kind}")


def _control(state: Path, found: list[Finding]) -> Mapping[str, Any] | None:
    """The snapshot of ``control``, with findings about it; ``None`` where it does not answer."""
    results: list[Any] = []

    def ask() -> None:
        try:
            results.append(client.snapshot(state / "panel.sock", timeout_s=PANEL_WITHIN_S))
        except (client.ControlAway, ValueError) as error:
            results.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * PANEL_WITHIN_S)  # whoever drips bytes is as good as silent
    answer = results[0] if results else client.ControlAway("no whole answer")
    if not isinstance(answer, dict):
        denied = isinstance(getattr(answer, "__cause__", None), PermissionError)
        make = unknown if denied else no
        found.append(
            make(
                f"control: does not answer ({answer})",
                "sudo adduser $USER portier, then log in again"
                if denied
                else "systemctl status portier-control; on the bench: make run; "
                "other folder: --state",
                "tried just now",
            )
        )
        found.append(unknown("guarantees: not known", "see control", "no snapshot"))
        return None
    took_ms = (time.monotonic() - began) * 1000
    found.append(yes("control: answers", f"a snapshot just now, after {took_ms:.0f} ms"))
    now_ms = answer.get("now_ms", 0)
    for name, record in (answer.get("guarantees") or {}).items():
        found.append(_guarantee(str(name), record, now_ms))
    for alarm in answer.get("alarms") or ():
        if alarm.get("state") == "active":
            found.append(no(f"alarm: {alarm.get('id')}", "portier alarm list", "it is active"))
    return answer


def _guarantee(name: str, record: Mapping[str, Any], now_ms: int) -> Finding:
    """One guarantee as ``control`` evaluates it, with the age of its evidence."""
    value = record.get("value")
    reason = str(record.get("reason") or "")
    if value is None:  # a control of before
        value = "not_configured" if reason == "not_configured" else None
        value = value or ("yes" if record.get("ok") is True else "no")
    evidence_ms = record.get("evidence_ms")
    evidence = "control's snapshot, just now"
    if isinstance(evidence_ms, int) and isinstance(now_ms, int):
        evidence = f"control observed it {max(0, now_ms - evidence_ms) / 1000:.0f} s ago"
    remedy = "portier status; portier alarm list"
    foreign = record.get("foreign")
    if name == "recording" and isinstance(foreign, int) and foreign > 0:
        evidence += (
            f"; {foreign} messages on its topics were somebody else's (portier record aside):"
            " the broker's access list lets others write there"
        )
    aside = record.get("aside")
    if name == "recording" and isinstance(aside, int) and aside > 0:
        reason = f"{reason or 'set aside'}, {aside} points set aside"
        remedy = (
            "portier record aside shows them; portier record retry sends them again, "
            "portier record aside --acknowledge marks them as seen"
        )
    if value == "yes":
        return yes(f"guarantee {name}: yes", evidence)
    if value == "not_configured":
        return not_configured(f"guarantee {name}: not configured")
    if value == "no":
        return no(f"guarantee {name}: no ({reason or 'no reason reported'})", remedy, evidence)
    return unknown(f"guarantee {name}: unknown ({reason or 'no evidence'})", remedy, evidence)
