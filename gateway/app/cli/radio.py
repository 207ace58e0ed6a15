"""Commands for radio: which devices are heard, and how their lines in the configuration read."""

from __future__ import annotations

import threading
from typing import Annotated, Any, get_args, get_type_hints

import typer

from drivers import DriverFault, enocean_contact, enocean_meter
from drivers.enocean import profiles
from drivers.enocean.esp3 import Telegram
from drivers.enocean.stick import Stick
from gateway.app.cli import console as c

enocean = typer.Typer(no_args_is_help=True, help="Find EnOcean radio devices nearby.")


def add(cli: typer.Typer) -> None:
    cli.add_typer(enocean, name="enocean")


@enocean.callback()
def _group() -> None:
    """Find EnOcean radio devices nearby."""


@enocean.command()
def learn(
    port: Annotated[str, typer.Option(help="The stick: /dev/ttyUSB0, /dev/serial/by-id/….")],
    for_: Annotated[str, typer.Option("--for", help="How long, such as 5 min.")] = "60 s",
) -> None:
    """Show every telegram that the stick hears, as a line for the configuration.

    Press the button, open the window, press the learn button of a sensor; keep the lines of your
    own devices. A running gateway has the port: stop it first. Example:
    `portier enocean learn --port /dev/ttyUSB0`
    """
    wait_s = c.a_duration(for_) / 1000
    listener = _Learner(port)
    try:
        stick = Stick(port)
    except DriverFault as fault:
        c.fail(str(fault))
    c.err.print(f"Listening at {port} for {for_}; Ctrl-C ends it.")
    stick.listen(listener)
    try:
        listener.gone.wait(wait_s)
    except KeyboardInterrupt:
        pass  # it was long enough
    finally:
        stick.close()
    if listener.reason:
        c.fail(f"{listener.reason}: plug the stick in again, and begin anew")
    if not listener.count:
        c.fail(
            "Nothing was heard. Is the device near enough (10 to 30 m in a house), and for "
            "868 MHz as in Europe? An encrypted one is not understood."
        )


class _Learner:
    """Prints what it hears. A :class:`drivers.enocean.stick.Listener`."""

    def __init__(self, port: str) -> None:
        self._port = port
        self.count = 0
        self.reason = ""
        self.gone = threading.Event()

    def back(self, now_ns: int) -> None:
        pass  # it is there from the start

    def lost(self, reason: str) -> None:
        self.reason = reason
        self.gone.set()

    def heard(self, told: Telegram, now_ns: int) -> None:
        self.count += 1
        c.out.print(line(told, self._port), soft_wrap=True)

    def time(self, now_ns: int) -> int | None:
        return None


def line(told: Telegram, port: str) -> str:
    """A telegram as a line below ``points:``, or as a comment where it makes no point."""
    profile, done = profiles.guess(told)
    strength = "" if told.rssi_dbm is None else f", {told.rssi_dbm} dBm"
    more = ""
    if profile.startswith("F6") and len(down := profiles.pressed(told)) == 1:
        more = f", button: {next(iter(down))}"
    for driver in (enocean_contact, enocean_meter):
        if profile in _profiles(driver) and done != "released":
            name = driver.__name__.rpartition(".")[2]
            return (
                f"  radio.{told.device.lower()}: {{driver: {name}, port: {port}, "
                f'device: "{told.device}", profile: {profile}{more}}}  # {done}{strength}'
            )
    known = f"{profile} is not understood, " if profile and done != "released" else ""
    return f"  # {told.device}: {known}{done}{strength}"


def _profiles(driver: Any) -> tuple[str, ...]:
    return get_args(get_type_hints(driver.Settings)["profile"])
