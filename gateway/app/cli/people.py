"""Commands about people and programs that may log in: users and tokens."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.app import paths
from gateway.app.cli import console as c
from gateway.app.cli.console import AsJson, State
from gateway.app.cli.issuers import Issuers
from gateway.app.cli.listing import Listing
from gateway.core.facts import Json
from gateway.formats import UnknownFormat

if TYPE_CHECKING:
    from gateway.web.identity.users import Token, Users

user = typer.Typer(
    no_args_is_help=True, help="Add, list, change or remove people who log in to the page."
)
token = typer.Typer(
    no_args_is_help=True, help="Add, list or revoke tokens of programs that use the API."
)

ROLES = "view, staff, maintenance or admin"


def _known(role: str) -> str:
    from gateway.web.identity.accounts import known_role
    from gateway.web.storage.errors import UserError

    try:
        return known_role(role)
    except UserError as error:
        raise typer.BadParameter(str(error)) from error


Name = Annotated[str, typer.Argument(metavar="NAME")]
Role = Annotated[str, typer.Option(help=f"One of {ROLES}.", callback=_known)]


def add(cli: typer.Typer) -> None:
    cli.add_typer(user, name="user")
    cli.add_typer(token, name="token")


@contextmanager
def users_of(state: Path) -> Iterator[Users]:
    """The store of users; what it refuses is the end with its reason."""
    from gateway.journal.schema import DAMAGED
    from gateway.web.identity.repair import unseen
    from gateway.web.identity.users import Users, users_file
    from gateway.web.storage.errors import UserError

    if not state.is_dir():
        c.fail(f"there is no folder {state}: start Portier once, or choose another with --state")
    file = users_file(state)
    try:
        new = [path for path in (file.parent, file) if not path.exists()]
        users = Users(file)
        for path in new:
            paths.give(path)
    except OSError as error:
        c.fail(f"{file}: {error.strerror}. Run this as the page's user: sudo -u portier-web …")
    except UnknownFormat as error:
        c.fail(str(error))
    except DAMAGED as error:
        _fail_on_damage(file, error)
    if (away := unseen(file)) is not None:
        c.err.print(
            f"The file of the users was damaged; {away} is what it was. Check who is missing, then"
            " mark it as checked on the page, under Users.",
            style="yellow",
        )
    try:
        yield users
    except UserError as error:
        c.fail(str(error))
    except DAMAGED as error:
        _fail_on_damage(file, error)
    finally:
        users.close()


def _fail_on_damage(file: Path, error: Exception) -> NoReturn:
    from gateway.journal.schema import damaged
    from gateway.web.storage.damage import reason_of

    if not damaged(error) and not file.is_dir():
        raise error
    c.fail(
        f"{file} is damaged ({reason_of(error)}). The page's role makes it anew from what can be"
        " read when it starts: sudo systemctl restart portier-web; then ask again."
    )


def _maker(users: Users, token: Token) -> str:
    """Who made a token: a user's name, or where it was made."""
    via, _, id = token.by.partition(":")
    name = users.name_of(int(id)) if via == "web" and id.isdigit() else None
    return name or Issuers(Path())(token.by)


def keeping(users: Users) -> Callable[[str, Mapping[str, Json]], None]:
    """Keeps entries for the audit chain beside the users while ``control`` is away."""

    def keep(action: str, detail: Mapping[str, Json]) -> None:
        users.keep_entry(f"cli:{getpass.getuser()}", action, detail)

    return keep


def _say_ended(state: Path, ended: list[Token], users: Users) -> None:
    """The tokens that ended with the rights of whoever made them."""
    for token in ended:
        c.audit(state, "token_revoke", {"subject": f"token:{token.name}"}, keeping(users))
        c.out.print(f"the token {token.name} ended with it")


def _password(name: str) -> str:
    """Typed twice on a terminal, else one line of standard input."""
    if not sys.stdin.isatty():
        try:
            text = c.typed(sys.stdin.readline().rstrip("\n"))
        except UnicodeDecodeError:
            text = "\ufffd"
        if "\ufffd" in text:
            c.fail("the password cannot be read as text; send it in UTF-8")
        return text
    password = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("Again: ") != password:
        c.fail("the two passwords differ")
    return password


@user.command("add")
def user_add(name: Name, state: State, role: Role = "staff") -> None:
    """Add a user; the password is asked for, or read from standard input.

    Example: `portier user add reception --role staff`
    """
    with users_of(state) as users:
        made = users.add_user(name, role, _password(name))
        c.audit(state, "user_add", {"subject": f"web:{made.id}", "role": role}, keeping(users))
    c.out.print(f"{made.name} may log in as {made.role}")


@user.command("list")
def user_list(state: State, as_json: AsJson = False) -> None:
    """List who may log in."""
    with users_of(state) as users:
        found = users.list_users()
    if as_json:
        c.print_json([{"id": u.id, "name": u.name, "role": u.role} for u in found])
        return
    table = Listing("id", "name", "role")
    for u in found:
        table.add_row(str(u.id), u.name, u.role)
    c.out.print(table)


@user.command("role")
def user_role(
    name: Name,
    role: Annotated[str, typer.Argument(help=f"One of {ROLES}.", callback=_known)],
    state: State,
) -> None:
    """Give a user another role; whoever is logged in is logged out.

    Example: `portier user role reception maintenance`
    """
    from gateway.web.identity.accounts import known_role

    with users_of(state) as users:
        ends = users.tokens_above(users.by_name(name).id, known_role(role))
        changed = users.set_role(name, role)
        c.audit(state, "user_role", {"subject": f"web:{changed.id}", "role": role}, keeping(users))
        _say_ended(state, ends, users)
    c.out.print(f"{changed.name} is {changed.role}")


@user.command("password")
def user_password(name: Name, state: State) -> None:
    """Set a new password; every session of the user ends."""
    with users_of(state) as users:
        users.set_password(name, _password(name))
        changed = users.by_name(name)
        c.audit(state, "user_password", {"subject": f"web:{changed.id}"}, keeping(users))
    c.out.print(f"{changed.name} has a new password")


@user.command("remove")
def user_remove(name: Name, state: State) -> None:
    """Remove a user. The name stays behind the number until `portier forget`."""
    with users_of(state) as users:
        gone = users.by_name(name)
        ends = users.tokens_above(gone.id, None)
        users.remove_user(name)
        c.audit(state, "user_remove", {"subject": f"web:{gone.id}"}, keeping(users))
        _say_ended(state, ends, users)
    c.out.print(f"{gone.name} can no longer log in")


@user.command("remove-factor")
def user_remove_factor(name: Name, state: State) -> None:
    """Take away the second factor of a user who has lost it; they set up a new one."""
    with users_of(state) as users:
        changed = users.by_name(name)
        users.remove_factor(changed.id)
        c.audit(state, "user_factor", {"subject": f"web:{changed.id}"}, keeping(users))
    c.out.print(f"{changed.name} has no second factor")


@token.command("add")
def token_add(
    name: Name,
    state: State,
    role: Role,
    days: Annotated[int, typer.Option(min=1, help="How many days it is valid.")] = 365,
) -> None:
    """Make a token for the API and print it, alone, on standard output. It is shown once.

    Example: `TOKEN=$(portier token add grafana --role maintenance --days 90)`
    """
    with users_of(state) as users:
        secret = users.add_token(name, role, days, f"cli:{getpass.getuser()}")
        c.audit(
            state,
            "token_add",
            {"subject": f"token:{name}", "role": role, "days": days},
            keeping(users),
        )
    sys.stdout.write(secret + "\n")


@token.command("list")
def token_list(state: State, as_json: AsJson = False) -> None:
    """List the tokens and until when they are valid; never the tokens themselves."""
    with users_of(state) as users:
        found = [
            (token, _maker(users, token), users.is_orphaned(token)) for token in users.list_tokens()
        ]
    if as_json:
        c.print_json(
            [
                {
                    "name": t.name,
                    "role": t.role,
                    "expires_utc_ms": int(t.expires * 1000),
                    "by": t.by,
                    "orphaned": orphaned,
                }
                for t, _, orphaned in found
            ]
        )
        return
    table = Listing("name", "role", "expires", "made by", whole=("expires",))
    for t, maker, orphaned in found:
        by = f"{maker} (orphaned: no longer entitled; revoke it)" if orphaned else maker
        table.add_row(t.name, t.role, c.clock_text(int(t.expires * 1000)), by)
    c.out.print(table)


@token.command("revoke")
def token_revoke(name: Name, state: State) -> None:
    """Revoke a token; it is refused from now on.

    Example: `portier token revoke grafana`
    """
    with users_of(state) as users:
        users.revoke_token(name)
        c.audit(state, "token_revoke", {"subject": f"token:{name}"}, keeping(users))
    c.out.print(f"{name} is revoked")
