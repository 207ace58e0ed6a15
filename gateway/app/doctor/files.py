"""What ``portier doctor`` says of the broker's files: what this version needs and they lack.

They are compared where they can be read: on the broker's own machine, or as a copy that is named
(``--access-list``). Nothing is written; what is missing is offered as a diff.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from gateway.app.certificates import reading
from gateway.app.configuration import mqtt_points
from gateway.app.doctor import broker_files
from gateway.app.findings import Finding, no, unknown, yes
from gateway.settings.model.configuration import Settings
from gateway.settings.model.link import Mqtt, Tls, is_loopback


def examine(
    settings: Settings, config: Path, access_list: Path | None, folder: Path = broker_files.FOLDER
) -> Iterator[Finding]:
    """Findings about the files of a Mosquitto. ``folder``: where it has them."""
    mqtt = settings.mqtt
    if mqtt is None or mqtt.embedded:
        return
    of_broker = folder / broker_files.CONFIG.relative_to(broker_files.FOLDER)
    acl = access_list
    try:
        text = ""
        if access_list is None and _is_here(mqtt) and of_broker.exists():
            text = of_broker.read_text(encoding="utf-8")
        if text and broker_files.listens(text, mqtt.port_number):
            yield from _of_config(of_broker, text, settings, config)
            acl = Path(broker_files.settings_of(text).get("acl_file", broker_files.ACL))
        if acl is not None:
            yield from _of_acl(acl, acl.read_text(encoding="utf-8"), settings, config)
    except PermissionError as error:
        what = f"broker: {error.filename} cannot be read by this user"
        yield unknown(what, "sudo portier doctor", str(error))
    except (OSError, ValueError) as error:
        yield no(f"broker: its files cannot be read ({error})", "see deploy/mosquitto", str(acl))


def _is_here(mqtt: Mqtt) -> bool:
    return is_loopback(mqtt.host) or mqtt.host in (socket.gethostname(), socket.getfqdn())


def _of_config(file: Path, text: str, settings: Settings, config: Path) -> Iterator[Finding]:
    yield from _read_together(file, text)
    lack = broker_files.lacks_of_config(file, text, broker_files.others(file))
    if lack is None:
        yield yes(f"broker: {file} has what this version needs", "read just now")
    else:
        yield _lacking(lack, "sudo systemctl restart mosquitto")
    tied = broker_files.settings_of(text).get("use_username_as_clientid") == "true"
    link, recorder = users(settings, config)
    if tied and recorder == link:
        yield no(
            f"broker: link and the recorder are the same user there ({link}), and it lets each"
            " user in once: they throw each other out",
            "write record: {tls: {ca: …, cert: tls/recorder.pem, key: tls/recorder.key}}, or a "
            "user of its own",
            f"use_username_as_clientid in {file}",
        )


def _read_together(file: Path, text: str) -> Iterator[Finding]:
    """Whether Mosquitto takes our file together with its own ``mosquitto.conf``. An upgrade of
    Debian may bring that back as it was."""
    top = broker_files.top_of(file)
    if not top.is_file():
        return
    own = top.read_text(encoding="utf-8")
    then = "sudo systemctl restart mosquitto"
    folder = broker_files.settings_of(own).get("include_dir", "")
    if Path(folder).name != file.parent.name:
        yield no(
            f"broker: {top} does not read {file.parent}, so nothing of {file.name} counts",
            f"write include_dir {file.parent} into it, then {then}",
            "read just now",
        )
    for key, (here, there) in broker_files.said_twice(text, own).items():
        yield no(
            f"broker: {key} is in {top} ({there}) and in {file} ({here}), and Mosquitto does not "
            "start where it is said twice",
            f"sudo sed -i 's/^{key} /# &/' {file}, then {then}",
            "read just now",
        )


def _of_acl(file: Path, text: str, settings: Settings, config: Path) -> Iterator[Finding]:
    wanted = needs(settings, config)
    lack = broker_files.lacks_of_acl(file, text, wanted, settings.gateway.id)
    if lack is None:
        yield yes(f"broker: {file} allows all that this version needs", "read just now")
    else:
        yield _lacking(lack, "sudo systemctl reload mosquitto")
    known = broker_files.AccessList.read(text)
    for one in wanted:
        speakers = known.allowed(one) if one.anybody else []
        if len(speakers) > 1:
            yield no(
                f"broker: {', '.join(sorted(speakers))} may each write {one.topic}, and so speak "
                f"in the name of {one.user}",
                f"let one user alone write there, in {file}",
                "read just now",
            )


def _lacking(lack: broker_files.Lack, then: str) -> Finding:
    lines = "".join(f"\n     {line}: without it, {breaks}" for line, breaks in lack.lines)
    return no(
        f"broker: {lack.file} lacks what this version needs:{lines}",
        f"the file is yours and was left as it is; `sudo patch {lack.file}` takes this, then "
        f"{then}\n{lack.diff}",
        "read just now",
    )


def users(settings: Settings, config: Path) -> tuple[str, str | None]:
    """Who ``link`` and the recorder are at the broker; ``None``: there is no recorder."""
    mqtt = settings.mqtt
    tls = mqtt.tls if mqtt is not None and isinstance(mqtt.tls, Tls) else None
    link = (mqtt.user if mqtt is not None else None) or _named(tls, config)
    link = link or settings.gateway.id
    record = settings.record
    if record is None or record.store == "none":
        return link, None
    return link, _named(record.tls, config) or link


def _named(tls: Tls | None, config: Path) -> str | None:
    """The common name of a certificate, which is the user at a broker as we ship it."""
    if tls is None or tls.cert is None:
        return None
    try:
        return reading.read(config.absolute().parent / tls.cert).name or None
    except (OSError, ValueError):
        return None  # that is a finding of its own


def needs(settings: Settings, config: Path) -> list[broker_files.Need]:
    """What this configuration needs of the access list."""
    mqtt, record = settings.mqtt, settings.record
    link, recorder = users(settings, config)
    centre = None if mqtt is None else mqtt.issuers.get(broker_files.CENTRE)
    return broker_files.needs(
        settings.gateway.id,
        user=link,
        recorder=None if record is None or recorder is None else (recorder, record.name),
        recorded=() if record is None else record.recorded(settings.gateway.id) or ("+",),
        home_assistant=mqtt is not None and mqtt.home_assistant,
        issuers=[] if mqtt is None else [n for n, one in mqtt.issuers.items() if one.key is None],
        topics=sorted({point.topic for point in mqtt_points.of(settings.points.values())}),
        centre=None if centre is None else centre.rights(broker_files.CENTRE) or (),
    )
