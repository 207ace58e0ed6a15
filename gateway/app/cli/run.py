"""Commands that start things, or look at a configuration without a running gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gateway.app import paths
from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, Config, State

outputs = typer.Typer(no_args_is_help=True, help="Switch the relays off without a running gateway.")

DOCTOR_MARKS = {
    "yes": Text("ok ", "green"),
    "no": Text("no ", "red"),
    "unknown": Text("?  ", "yellow"),
    "not_configured": Text("-  ", "dim"),
}
ROLE_NAMES = "control, broker, link, record, notify, web, sites"


def add(cli: typer.Typer) -> None:
    cli.command()(run)
    cli.command()(demo)
    cli.command()(check)
    cli.command()(doctor)
    cli.command()(schema)
    cli.command()(asyncapi)
    cli.add_typer(outputs, name="outputs")


def run(
    config: Config,
    state: State,
    roles: Annotated[
        list[str] | None, typer.Argument(metavar="[ROLE]…", help=f"Of {ROLE_NAMES}.")
    ] = None,
    bench_start: Annotated[
        str | None, typer.Option(help="Wall time at the start, on a bench: 2026-11-22T08:00.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what the processes report to this file; the terminal shows how to begin.",
        ),
    ] = None,
) -> None:
    """Start a gateway or a centre: all that the configuration names, each a process of its own.

    With one ROLE only that one, in this process (so systemd starts them). PORT= in the
    environment chooses another port for the page. Ctrl-C ends everything within 2 s.

    Without --log the reports appear here, as whoever sets up a gateway wants to see them.

    Examples: `portier run` · `portier run link --config /etc/portier/portier.yaml`
    """
    from gateway.app import control
    from gateway.app.running import start

    try:
        control.utc_ms(bench_start)
    except ValueError:
        raise typer.BadParameter(f"--bench-start {bench_start}: such as 2026-11-22T08:00") from None
    if log is not None and len(roles or []) == 1:
        raise typer.BadParameter("--log is for several roles; a single one writes to its terminal")
    raise typer.Exit(start.run(roles or [], config, state, bench_start, log))


DEMO_CONFIG = Path("config/demo.yaml")
DEMO_STATE = Path("state/demo")


def demo(
    config: Annotated[
        Path, typer.Option(readable=False, help="The configuration, of simulated points.")
    ] = DEMO_CONFIG,
    state: Annotated[Path, typer.Option(readable=False, help="The state folder.")] = DEMO_STATE,
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days lie behind it.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="Another number, another year.")] = 1,
    only: Annotated[bool, typer.Option("--only-build", help="Do not start it afterwards.")] = False,
) -> None:
    """Start a building with a year behind it: history, events, test book and charts are full.

    People come and go, the climate follows the seasons, once a month something is wrong and is
    mended, once a month somebody calls for help. One thing grows slowly worse: find it on the page
    under History. The year is lived once, in under a minute; the next start goes on from there.

    Example: `portier demo` · `PORT=8081 portier demo --state state/second --seed 2`
    """
    from gateway.app import demo as made
    from gateway.app.running import start
    from gateway.settings.values.problems import SettingsError

    password = ""
    if made.has_one(state):
        said = f"{state} has its year behind it already, and goes on from there."
        c.err.print(said, soft_wrap=True)
    else:
        try:
            with c.progress() as progress:
                task = progress.add_task("living a year", total=days)
                now = c.now_utc_ms()
                done = made.build(
                    config, state, count=days, seed=seed, now_utc_ms=now,
                    progress=lambda n: progress.update(task, completed=n),
                )  # fmt: skip
        except SettingsError as error:
            c.fail(str(error), c.EXIT_CONFIGURATION)
        except OSError as error:
            c.fail(f"{error.filename}: {error.strerror}; choose another folder with --state")
        password = done.password
        c.err.print(
            f"{days} days: {done.openings:,} openings, {done.calls} calls, {done.alarms} alarms. "
            f"Seed {seed}.",
            soft_wrap=True,
        )
        if only:
            c.out.print(f"admin, password {password}")
    if not only:
        raise typer.Exit(start.run([], config, state, None, state / "portier.log", password))


def check(
    file: Annotated[
        Path,
        typer.Argument(
            default_factory=lambda: paths.config(None),
            readable=False,
            show_default="PORTIER_CONFIG, else the usual place",
            help="The configuration.",
        ),
    ],
    as_json: AsJson = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="With what the page has changed in this state folder.",
            show_default="the usual folder, where FILE is the usual file",
        ),
    ] = None,
) -> None:
    """Check a configuration: all errors at once, with file, line and column.

    With a state folder also whether this version understands its files: run it before an update
    starts anything.

    Example: `portier check config/office.yaml`
    """
    from gateway.app import formats
    from gateway.settings.values.problems import SettingsError

    try:
        if state is None and file == paths.config(None):
            state = paths.state(None)
        hints, counted = _checked(file, state)
    except SettingsError as error:
        if as_json:
            c.print_json(
                [
                    {name: getattr(p, name) for name in ("file", "line", "column", "key")}
                    | {"message": p.message, "hint": p.hint}
                    for p in error.problems
                ]
            )
        else:
            for problem in error.problems:
                c.err.print(str(problem), soft_wrap=True)
        raise typer.Exit(c.EXIT_CONFIGURATION) from error
    unknown, unread = ([], {}) if state is None else formats.unknown_files(state)
    if as_json:
        c.print_json(
            [
                {"file": str(one.path), "line": 0, "column": 0, "key": ""}
                | {"message": one.name, "hint": one.remedy}
                for one in unknown
            ]
        )
    for one in unknown:
        c.err.print(f"{one.name}; {one.remedy}", soft_wrap=True)
    for path, reason in unread.items():
        text = f"{path}: its version was not read ({reason}); run this with sudo, or portier doctor"
        c.err.print(text, soft_wrap=True)
    if unknown:
        raise typer.Exit(c.EXIT_CONFIGURATION)
    if as_json:
        return
    for hint in hints:
        c.out.print(f"hint: {hint}", soft_wrap=True)
    missed = f"; not read: {_count(unread, 'file')} of {state}" if unread else ""
    c.out.print(f"{file} is in order: {counted}{missed}", soft_wrap=True)


def _checked(file: Path, state: Path | None) -> tuple[Sequence[str], str]:
    """Hints, and what is in a configuration, of a gateway or of a centre. Raises
    :class:`gateway.settings.values.problems.SettingsError`."""
    from gateway.app.configuration import load, people

    if load.of_centre(file):
        centre = load.sites(file)
        hints = [*centre.hints, *_not_enrolled(file, state, centre.groups)]
        return hints, _count(centre.groups, "group")
    settings = load.settings(file, state, judge=people.judge, strict=True, exact=True)
    points, doors = _count(settings.points, "point"), _count(settings.doors, "door")
    return settings.hints, f"{points}, {doors}"


def _not_enrolled(
    file: Path, state: Path | None, groups: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Hints about gateways in groups that the centre does not show, where its keys can be read."""
    from gateway.settings.values.secrets import Secret, places
    from gateway.sites.keys import SECRET, Keys, KeysError

    if state is None:
        return
    try:
        enrolled = Keys(state, Secret(SECRET, places(file))).enrolled()
    except KeysError:
        return  # doctor says why
    for name, gateways in groups.items():
        for gateway in gateways:
            if gateway not in enrolled:
                remedy = f"portier site enrol {gateway}"
                yield f"{file}: groups.{name}: {gateway} is not enrolled: {remedy}"


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def doctor(
    config: Config,
    state: State,
    access_list: Annotated[
        Path | None,
        typer.Option(help="A copy of Mosquitto's access list, where the broker is elsewhere."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for what keeps the gateway from working, and say what to do about it.

    Terminals, broker and its files, certificates, store, messages, page, clock, disk, journal,
    system status. Each line is what was observed just now: ok, no, ? (could not be observed),
    - (not configured). What the broker's files lack is shown as a diff; nothing is written. Exit
    status 1 if something is wrong or could not be observed.
    """
    from gateway.app.doctor import examination as examine

    findings = examine.examine(config, state, access_list=access_list)
    if as_json:
        fields = ("what", "ok", "value", "evidence", "remedy")
        c.print_json([{name: getattr(f, name) for name in fields} for f in findings])
    else:
        for f in findings:
            c.out.print(DOCTOR_MARKS[f.value], end=" ")
            said = f" ({f.evidence})" if f.evidence else ""
            c.line(f"{f.what}{said}")
            if f.remedy:
                c.out.print(f"     {f.remedy}", soft_wrap=True)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: `portier schema > config/schema.json`
    """
    from gateway.app.configuration import load

    c.print_json(load.schema(), indent=2)


def asyncapi(config: Config) -> None:
    """Print what this gateway sends and takes over MQTT, as an AsyncAPI 3.0 document."""
    from gateway.app.configuration import load

    c.print_json(load.asyncapi(config), indent=2)


@outputs.command("off")
def outputs_off(config: Config, state: State) -> None:
    """Switch every configured relay to its safe level, without a running gateway.

    systemd does this after a stop (ExecStopPost): the kernel keeps the outputs of a killed process.
    """
    from gateway.app import outputs

    raise typer.Exit(outputs.main(["--config", str(config), "--state", str(state)]) or 0)
