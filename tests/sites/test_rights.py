"""Who may what where: every route, every role, every site, generated from the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from gateway.set_aside import beside
from gateway.sites import audit, grants
from gateway.sites.access import NeedsAt
from gateway.sites.app import ROUTERS
from gateway.sites.grants import Grant
from gateway.web.identity.accounts import ROLES, Role
from gateway.web.identity.auth import Needs
from gateway.web.identity.repair import open_users
from gateway.web.storage.damage import MARK
from gateway.web.storage.errors import UserError
from tests.sites.centre_web import NOBODY, CentreWeb
from tests.sites.recorded import T0, point
from tests.web.conftest import Client

TABLE = """
/                                            GET view
/more                                        GET view
/sites/{site}                                GET at view
/sites/{site}/parts                          GET at view
/sites/{site}/doors/{door}/open              POST at staff
/sites/{site}/calls/acknowledge              POST at staff
/sites/{site}/alarms/acknowledge             POST at staff
/alarms                                      GET view
/logbook                                     GET view
/history                                     GET view
/fleet                                       GET view
/people                                      GET owner, POST owner
/audit                                       GET owner
/account                                     GET view, POST view
/account/password                            POST view
/account/sessions                            POST view
/account/factor                              POST view
/account/factor/remove                       POST view
/second-factor                               GET view, POST view
/login                                       GET everybody, POST everybody
/logout                                      POST view
/language                                    POST everybody
/theme                                       POST everybody
/manifest.webmanifest                        GET everybody
/sw.js                                       GET everybody
/offline                                     GET everybody
/help/certificate                            GET everybody
/help/root.crt                               GET everybody
/help/next-root.crt                          GET everybody
/health/live                                 GET everybody
/health/ready                                GET everybody
/metrics                                     GET view
/api/openapi.json                            GET view
/api/v1/sites                                GET view
/api/v1/sites/{site}                         GET at view
/api/v1/sites/{site}/doors/{door}/open       POST at staff
/api/v1/sites/{site}/points/{point}/history  GET at maintenance
/api/v1/sites/{site}/events                  GET at view
/api/v1/sites/{site}/calls/{call}/acknowledge          POST at staff
/api/v1/sites/{site}/alarms/{alarm:path}/acknowledge   POST at staff
/api/v1/calls                                GET view
/api/v1/alarms                               GET view
/api/v1/live                                 GET view
/api/v1/session                              POST everybody, DELETE view
/api/v1/me                                   GET view
/api/v1/me/preferences                       GET view, PUT view
/api/v1/me/password                          PUT view
/api/v1/me/second-factor                     GET view, POST view
/api/v1/me/second-factor/enrolment           POST view
/api/v1/me/second-factor/confirmation        POST view
/api/v1/me/second-factor/removal             POST view
/api/v1/users/me/sessions                    GET view, DELETE view
/api/v1/users/me/sessions/{session}          DELETE view
"""
"""``view``: everybody who is logged in, who sees of it what was granted; ``at``: the least role at
the site; ``owner``: whoever owns the centre."""


def wanted() -> dict[tuple[str, str], str]:
    found = {}
    for line in TABLE.strip().splitlines():
        path, rest = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        for one in rest.split(", "):
            method, rule = one.split(" ", 1)
            found[method, path] = rule
    return found


def routes() -> Iterator[tuple[str, APIRoute]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield method, route


def rule_of(route: APIRoute) -> str:
    (needs,) = [d.call for d in route.dependant.dependencies if isinstance(d.call, Needs)]
    if isinstance(needs, NeedsAt):
        return f"at {needs.role_at}"
    return {None: "everybody", "admin": "owner"}.get(needs.role, str(needs.role))


def test_every_route_has_a_rule_and_no_rule_is_without_a_route() -> None:
    assert {(method, route.path): rule_of(route) for method, route in routes()} == wanted()


def test_a_route_about_one_site_asks_for_a_role_there() -> None:
    about = {path for _, path in wanted() if "{site}" in path}
    assert {path for (_, path), rule in wanted().items() if rule.startswith("at ")} == about


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreWeb]:
    """One for tests that change nothing that others see."""
    web = CentreWeb(tmp_path_factory.mktemp("centre"))
    for id in web.centre.picture.gateways:
        web.gateway(id).call()
        web.gateway(id).raise_alarm()
        web.record(
            point(1, T0, "door_opened", "front", gateway=id, cause="hand"),
            point(2, T0, "contact_changed", "front.leaf", gateway=id, active=True),
        )
    yield web
    web.close()


@pytest.fixture(scope="module")
def people(shared: CentreWeb) -> dict[str, Client]:
    """By what was granted: a role at one site, at a group, everywhere, nothing, or all."""
    found = {
        f"site {role}": shared.user(f"s-{role}", Grant("site", "bad-1", role)) for role in ROLES
    }
    for role in ROLES:
        found[f"group {role}"] = shared.user(f"g-{role}", Grant("group", "Park", role))
        found[f"all {role}"] = shared.user(f"a-{role}", Grant("all", "", role))
    found["nothing"] = shared.user("nothing")
    found["owner"] = shared.user("owner", owner=True)
    return found


def role_at(who: str, site: str) -> Role | None:
    """What was granted, said once more without the code under test."""
    if who == "owner":
        return "admin"
    scope, _, role = who.partition(" ")
    there = {"site": ("bad-1",), "group": ("bad-1", "bad-2"), "all": ("bad-1", "bad-2", "office")}
    return next((one for one in ROLES if one == role and site in there[scope]), None)


SITES = ("bad-1", "bad-2", "office")
WHO = [
    "nothing",
    "owner",
    *(f"{scope} {role}" for scope in ("site", "group", "all") for role in ROLES),
]
ABOUT = [
    (method, path, rule) for (method, path), rule in wanted().items() if rule.startswith("at ")
]


def address(path: str, site: str) -> str:
    path = path.replace("{site}", site).replace("{door}", "front").replace("{call}", "wc")
    path = path.replace("{point}", "front.leaf")
    return path.replace("{alarm:path}", "front/left_open")


BODIES = {
    "/sites/{site}/calls/acknowledge": {"call": "wc-1", "do": "seen"},
    "/sites/{site}/alarms/acknowledge": {"alarm": "front/left_open"},
}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("method", "path", "rule"), ABOUT, ids=str)
def test_every_route_and_site_answers_by_what_was_granted(
    shared: CentreWeb, people: dict[str, Client], who: str, method: str, path: str, rule: str
) -> None:
    needed = ROLES.index(rule.removeprefix("at "))
    for site in SITES:
        has, asked = role_at(who, site), len(shared.centre.commands.asked)
        values = {"data": BODIES.get(path, {})} if method == "POST" else {}
        answer = people[who].call(
            method, address(path, site), headers={"Accept": "application/json"}, **values
        )
        if has is None:
            assert (site, answer.status_code) == (site, 404)
            assert answer.json()["reason"] == "unknown_site"
        elif ROLES.index(has) < needed:
            assert (site, answer.status_code) == (site, 403)
        else:
            assert answer.status_code in (200, 202, 303, 429), (site, answer.text)
        if has is None or ROLES.index(has) < needed:
            assert len(shared.centre.commands.asked) == asked


NAMES_ALL = ("/", "/fleet", "/logbook", "/api/v1/sites", "/api/v1/calls", "/api/v1/alarms")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    "path",
    ["/", "/?group=Park", "/?q=a", "/alarms", "/fleet", "/metrics", "/api/v1/sites",
     "/api/v1/calls", "/api/v1/alarms", "/logbook", "/logbook?site=office", "/history"],
)  # fmt: skip
def test_every_list_shows_the_sites_that_were_granted_and_no_other(
    shared: CentreWeb, people: dict[str, Client], who: str, path: str
) -> None:
    answer = people[who].get(path)
    assert answer.status_code == 200
    for site in SITES:
        named = re.search(rf"\b{site}\b", answer.text) is not None
        if role_at(who, site) is None:
            assert not named, site
        elif path in NAMES_ALL:
            assert named, site


@pytest.mark.parametrize("who", WHO)
def test_the_history_is_of_the_sites_where_somebody_has_maintenance(
    shared: CentreWeb, people: dict[str, Client], who: str
) -> None:
    for asked in ("", *(f"?series={site}/front.leaf" for site in SITES)):
        html = people[who].get(f"/history{asked}").text
        for site in SITES:
            has = role_at(who, site)
            may = has is not None and ROLES.index(has) >= ROLES.index("maintenance")
            offered = re.search(rf'value="{site}(/front\.leaf)?"', html) is not None
            assert offered == may, site
            wants = asked.endswith(f"{site}/front.leaf") and may
            assert not wants or f"/sites/{site}/points/front.leaf/history" in html


@pytest.mark.parametrize("who", WHO)
def test_the_live_stream_shows_the_sites_that_were_granted_and_no_other(
    shared: CentreWeb, people: dict[str, Client], who: str
) -> None:
    async def first(language: str) -> str:
        from gateway.sites.streams import Seeing

        user = shared.users.by_name(who if " " not in who else f"{who[0]}-{who.partition(' ')[2]}")
        from gateway.web.identity.accounts import Who

        asks = Who(f"web:{user.id}", user.name, user.role, user.id, session="s")
        hub = shared.page.hub
        client = hub.join(Seeing(language, shared.page.rights(asks)), asks)
        try:
            return b"".join([one async for one in hub.opening(client, None)]).decode()
        finally:
            hub.leave(client)

    for language in ("", "de"):
        text = shared.runner.run(first(language))
        for site in SITES:
            named = re.search(rf"\b{site}\b", text) is not None
            assert named == (role_at(who, site) is not None), (language, site)


CLOSED = [(method, path) for (method, path), rule in wanted().items() if rule != "everybody"]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nobody_gets_in_without_logging_in(shared: CentreWeb, method: str, path: str) -> None:
    answer = shared.call(method, address(path, "bad-1"), headers={"Accept": "application/json"})
    assert answer.status_code == 401


OWNERS = [(method, path) for (method, path), rule in wanted().items() if rule == "owner"]


@pytest.mark.parametrize("who", [one for one in WHO if one != "owner"])
@pytest.mark.parametrize(("method", "path"), OWNERS)
def test_only_an_owner_manages_people(
    people: dict[str, Client], who: str, method: str, path: str
) -> None:
    assert people[who].call(method, path).status_code == 403


def test_a_right_that_ends_ends_at_once_and_its_stream_too(tmp_path: Path) -> None:
    from gateway.sites.streams import Seeing
    from gateway.web.identity.accounts import Who

    web = CentreWeb(tmp_path)
    anna = web.user("anna", Grant("site", "bad-1", "staff"))
    user = web.users.by_name("anna")

    async def follow() -> bool:
        session = web.users.list_sessions(user.id)
        assert session
        hashes = [h for (h,) in web.users._all("SELECT hash FROM sessions")]
        who = Who(f"web:{user.id}", "anna", "view", user.id, session=hashes[0])
        client = web.page.hub.join(Seeing("de", web.page.rights(who)), who)
        web.page.hub.check()
        assert not client.over.is_set()
        web.page.grants.take(user.id, "site", "bad-1", NOBODY)
        web.page.hub.check()
        over = client.over.is_set()
        web.page.hub.leave(client)
        return over

    assert anna.get("/sites/bad-1").status_code == 200
    assert web.runner.run(follow())
    assert anna.get("/sites/bad-1").status_code == 404
    web.close()


def test_a_token_may_no_more_than_its_role_and_its_maker(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path)
    owner = web.user("owner", owner=True)
    web.user("other", owner=True)
    by = f"web:{web.users.by_name('owner').id}"
    secret = web.users.add_token("grafana", "view", 1, by)
    headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
    assert web.call("GET", "/api/v1/sites/office", headers=headers).status_code == 200
    open_ = "/api/v1/sites/office/doors/front/open"
    assert web.call("POST", open_, headers=headers).status_code == 403
    assert web.call("GET", "/people", headers=headers).status_code == 403
    web.users.set_role("owner", "view")
    assert web.call("GET", "/api/v1/sites/office", headers=headers).status_code in (401, 404)
    del owner
    web.close()


def test_a_removed_user_leaves_no_grants_that_hold_up_others(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path)
    web.user("owner", owner=True)
    web.user("anna", Grant("all", "", "staff"))
    id = web.users.by_name("anna").id
    web.users.remove_user("anna")
    with web.users._change() as db:
        db.execute("DELETE FROM users WHERE id = ?", (id,))
    assert web.page.grants.of_user(id) == frozenset()
    with pytest.raises(UserError, match="no such user"):
        web.page.grants.give(id, Grant("all", "", "view"), NOBODY)
    web.close()


def test_there_is_an_end_to_the_grants_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sites.grants.GRANTS_MOST", 2)
    web = CentreWeb(tmp_path)
    web.user("anna", Grant("site", "a", "view"), Grant("site", "b", "view"))
    id = web.users.by_name("anna").id
    with pytest.raises(UserError, match="at most"):
        web.page.grants.give(id, Grant("site", "c", "view"), NOBODY)
    web.page.grants.give(id, Grant("site", "b", "staff"), NOBODY)
    for wrong in (Grant("site", "", "view"), Grant("house", "x", "view")):  # type: ignore[arg-type]
        with pytest.raises(UserError):
            web.page.grants.give(id, wrong, NOBODY)
    web.close()


def test_what_was_granted_is_read_out_of_a_damaged_file(tmp_path: Path) -> None:
    web = CentreWeb(tmp_path)
    web.user("anna", Grant("group", "Park", "staff"), Grant("all", "", "view"))
    id, path = web.users.by_name("anna").id, web.options.users
    web.page.audit.looked("web:1", "bad-1", "wc-1")
    web.audited()
    with web.users._change() as db:
        for row in ((id, "all", "x", "admin"), (id, "site", "office", "king")):
            db.execute("INSERT INTO grants VALUES (?, ?, ?, ?)", row)
    web.close()
    beside(path, MARK).write_text("torn", encoding="utf-8")
    own = (grants.REPAIRED, audit.REPAIRED)
    users, repaired = open_users(path, "sites", wants_factors=False, own=own)
    users.close()
    assert repaired is not None
    again = CentreWeb(tmp_path)
    assert again.page.grants.all() == {
        id: {Grant("group", "Park", "staff"), Grant("all", "", "view")}
    }
    assert again.audited() == [("web:1", "call_looked_at", "bad-1")]
    again.close()
