# ruff: noqa: E501 - a table of slips, one a line
"""The configuration of a centre: read whole, told apart from a gateway's, all errors at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.settings import load_sites
from gateway.settings.load import load
from gateway.settings.model.sites import SitesSettings
from gateway.settings.values.problems import SettingsError
from gateway.settings.values.share import Share, share_of
from tests.settings.house import DRIVERS, ROOT, SMALL, changed, said, write
from tests.settings.test_schema import VALIDATOR, edited

CENTRE = """
sites: {name: Wohnungsgenossenschaft, timezone: Europe/Berlin, languages: [de, en]}
groups: {Wohnpark Am Bernsdorfer Bad: [bad-1, bad-2], Pflegedienst Nord: [bad-1, csg-office]}
mqtt: {host: broker.example, tls: {ca: ca.pem, cert: sites.pem, key: sites.key}}
record: {store: sqlite, share: 2/4}
web: {listen: 127.0.0.1:8080}
retention: {calls: 2 y}
"""


def read(folder: Path, text: str) -> SitesSettings:
    return load_sites.load(write(folder, text))


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    return [str(one).replace(f"{folder}/", "") for one in caught.value.problems]


def test_a_centre_is_read(tmp_path: Path) -> None:
    centre = read(tmp_path, CENTRE)
    assert (centre.sites.name, centre.sites.timezone) == ("Wohnungsgenossenschaft", "Europe/Berlin")
    assert centre.groups == {
        "Wohnpark Am Bernsdorfer Bad": ("bad-1", "bad-2"),
        "Pflegedienst Nord": ("bad-1", "csg-office"),
    }
    assert centre.record is not None
    assert (centre.record.gateways, centre.record.name) == ("all", "centre")
    assert centre.record.share == Share(2, 4)
    assert centre.web is not None
    assert centre.web.port == 8080
    assert centre.retention.calls_ms == 2 * 365 * 86_400_000
    assert centre.hints == ()
    assert len(centre.digest) == 64


def test_all_gateways_are_recorded_where_nothing_is_said_of_it(tmp_path: Path) -> None:
    least = "sites: {name: Centre}\nmqtt: {host: localhost}\n"
    record = read(tmp_path, least).record
    assert record is not None
    assert (record.store, record.gateways, record.share) == ("sqlite", "all", Share())
    assert read(tmp_path, least + "record: none\n").record is None
    assert read(tmp_path, least).web is None
    listed = read(tmp_path, least + "record: {gateways: [bad-1]}\n").record
    assert listed is not None
    assert listed.gateways == ("bad-1",)


def test_a_gateway_may_record_all_of_them_too(tmp_path: Path) -> None:
    more = "mqtt: {host: localhost}\nrecord: {gateways: all, share: 1/2}\n"
    record = load(write(tmp_path, SMALL + more), DRIVERS).record
    assert record is not None
    assert (record.recorded("small"), record.share) == ((), Share(1, 2))
    record = load(write(tmp_path, SMALL + "mqtt: {host: localhost}\n"), DRIVERS).record
    assert record is not None
    assert record.recorded("small") == ("small",)
    wrong = "mqtt: {host: localhost}\nrecord: {share: 1/2}\n"
    assert "record.share: divides all gateways, and others are named; write gateways: all" in said(
        tmp_path, SMALL + wrong
    )


def test_a_gateway_may_leave_recording_to_a_centre(tmp_path: Path) -> None:
    def recorders(record: str) -> tuple[str, ...]:
        found = load(write(tmp_path, SMALL + f"mqtt: {{host: localhost}}\n{record}\n"), DRIVERS)
        assert (found.record is None) == ("none" in record)
        return found.recorders

    assert recorders("record: {store: none, expect: [centre]}") == ("centre",)
    assert recorders("record: {expect: [recorder, centre]}") == ("recorder", "centre")
    assert recorders("") == recorders("record: sqlite") == ("recorder",)
    assert recorders("record: none") == ()


SLIPS = [
    (("name: W", "nmae: W"), "2:9: sites.nmae: is not a known key; did you mean name?"),
    (("Europe/Berlin", "Europe/Berln"), "2:49: sites.timezone: there is no time zone Europe/Berln; did you mean Europe/Berlin?"),
    (("[de, en]", "[de, fr]"), "sites.languages[1]: 'fr' is not possible"),
    (("[de, en]", "[de, de]"), "sites.languages: wants each language once"),
    ((", languages", ", database: mysql, languages"), "sites.database: 'mysql' is no database; write database: sqlite"),
    ((", languages", ", database: postgresql://p@h/d, languages"), "sites.database: this version keeps users and log-ins of a centre in SQLite only; write database: sqlite"),
    (("[bad-1, bad-2]", "[bad-1, Bad 2]"), "groups.Wohnpark Am Bernsdorfer Bad[1]: 'Bad 2' is not a name"),
    (("[bad-1, bad-2]", "[bad-1, bad-1]"), "3:47: groups.Wohnpark Am Bernsdorfer Bad[1]: names bad-1 twice"),
    (("[bad-1, bad-2]", "[]"), "groups.Wohnpark Am Bernsdorfer Bad: has no gateway"),
    (("[bad-1, bad-2]", "bad-1"), "groups.Wohnpark Am Bernsdorfer Bad: must be a list"),
    (("Pflegedienst Nord", "N" * 61), "the name of this group is empty, too long or not printable"),
    (("groups: {", "gruops: {"), "3:1: gruops: is not a known section; did you mean groups?"),
    (("sites: {", "stes: {"), "2:1: stes: is not a known section; did you mean sites?"),
    (("record: {", "contacts: {}\nrecord: {"), "5:1: contacts: is not for a centre in this version; remove it"),
    (("mqtt: {host", "mqtt: {issuers: {}, host"), "mqtt.issuers: is not a known key"),
    ((", tls: {ca: ca.pem, cert: sites.pem, key: sites.key}", ""), "mqtt.host: broker.example is another machine"),
    (("mqtt: {host: broker.example, tls: {ca: ca.pem, cert: sites.pem, key: sites.key}}", "mqtt: embedded"), "mqtt: the embedded broker keeps nothing over a restart and is for the bench; write mqtt: {host: …, tls: …}, or bench: true under sites:"),
    (("mqtt: {host: broker.example, tls: {ca: ca.pem, cert: sites.pem, key: sites.key}}\n", ""), "mqtt: is missing; write mqtt: as in config/sites.yaml"),
    (("2/4", "5/4"), "5:32: record.share: there is no share 5 of 4; write 1/4 to 4/4"),
    (("2/4", "2 of 4"), "record.share: '2 of 4' is not a share; write for example 1/2"),
    (("2/4", "0/4"), "record.share: '0/4' is not a share"),
    (("2/4", "1/101"), "record.share: 101 shares are too many; write at most 100"),
    (("2/4", "[2, 4]"), "record.share: '' is not a share"),
    (("share: 2/4", "gateways: al"), "record.gateways: 'al' is not understood; did you mean all?, or a list"),
    (("share", "gateways: [bad-1], share"), "record.share: divides all gateways, and others are named"),
    (("share: 2/4", "gateways: []"), "record.gateways: names no gateway; write all, or remove the line"),
    (("share: 2/4", "expect: [a]"), "record.expect: is not a known key"),
    (("127.0.0.1:8080", "0.0.0.0:8080"), "web.listen: 0.0.0.0 is reachable from other machines"),
    (("2 y", "2 min"), "retention.calls: 2 min keeps nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("slip", "expected"), SLIPS)
def test_a_slip_is_named_with_its_place_and_remedy(
    tmp_path: Path, slip: tuple[str, str], expected: str
) -> None:
    found = refused(tmp_path, changed(CENTRE, slip))
    assert len(found) == 1, found
    assert expected in found[0]


def test_all_slips_are_named_at_once(tmp_path: Path) -> None:
    wrong = changed(CENTRE, ("2/4", "5/4"), ("bad-2", "bad-1"), ("name:", "nmae:"))
    assert [one.split(": ")[0] for one in refused(tmp_path, wrong)] == [
        "portier.yaml:2:9", "portier.yaml:3:47", "portier.yaml:5:32",
    ]  # fmt: skip


def test_a_share_of_one_is_hinted_at(tmp_path: Path) -> None:
    (hint,) = read(tmp_path, changed(CENTRE, ("2/4", "1/1"))).hints
    assert "record.share: is everything, as without it" in hint


def test_a_file_is_of_a_gateway_or_of_a_centre(tmp_path: Path) -> None:
    """Both loaders say so at each section that is too much; the gateway's stops there."""
    both = CENTRE + SMALL.lstrip()
    assert load_sites.of_centre(write(tmp_path, both))
    remedy = (
        "belongs to a gateway, and sites: makes this the configuration of a centre; "
        "write it into a file of its own, or remove sites:"
    )
    expected = [
        f"portier.yaml:8:1: gateway: {remedy}",
        f"portier.yaml:9:1: points: {remedy}",
        f"portier.yaml:13:1: doors: {remedy}",
    ]
    assert refused(tmp_path, both) == expected
    assert said(tmp_path, both).splitlines() == expected


def test_a_centre_is_no_gateway(tmp_path: Path) -> None:
    assert said(tmp_path, CENTRE) == (
        "portier.yaml:2:1: sites: this is the configuration of a centre, and that of a gateway is "
        "needed here; name another file with --config"
    )
    assert not load_sites.of_centre(write(tmp_path, SMALL))
    assert not load_sites.of_centre(tmp_path / "nothing.yaml")
    assert not load_sites.of_centre(write(tmp_path, "x: [\n"))
    assert load_sites.of_centre(write(tmp_path, changed(CENTRE, ("sites: {", "site: {"))))
    assert not load_sites.of_centre(write(tmp_path, changed(SMALL, ("gateway:", "site:"))))


def test_the_shipped_centre_is_read(tmp_path: Path) -> None:
    shipped = (ROOT / "config" / "sites.yaml").read_text(encoding="utf-8")
    assert read(tmp_path, shipped).hints == ()
    assert VALIDATOR.is_valid(edited(shipped))


@pytest.mark.parametrize(
    "slip", [slip for slip, told in SLIPS if "known key" in told or "share" in slip[1][:2]]
)
def test_an_editor_sees_what_the_loader_refuses(slip: tuple[str, str]) -> None:
    assert VALIDATOR.is_valid(edited(CENTRE))
    assert not VALIDATOR.is_valid(edited(changed(CENTRE, slip)))


# --- shares ---------------------------------------------------------------------------------

FIXED = {
    "bad-1": (1, 1, 3, 3),
    "bad-2": (1, 1, 1, 1),
    "a": (1, 1, 3, 4),
    "gateway-17": (1, 2, 2, 2),
    "x_y-3": (1, 2, 3, 3),
}
"""Gateway -> its share of 1, 2, 3 and 4. Recorders of all versions must agree on these."""


def test_the_share_of_a_gateway_never_changes() -> None:
    for gateway, shares in FIXED.items():
        assert tuple(share_of(gateway, of) for of in (1, 2, 3, 4)) == shares, gateway


def test_the_rule_of_the_manual_gives_the_same() -> None:
    def weight(share: int) -> str:
        return hashlib.sha256(f"{share} csg-office".encode()).hexdigest()

    assert share_of("csg-office", 5) == max(range(1, 6), key=weight)


def test_each_gateway_is_in_exactly_one_share_and_shares_are_even() -> None:
    gateways = [f"gateway-{number}" for number in range(1_000)]
    shares = [Share(number, 4) for number in range(1, 5)]
    for gateway in gateways:
        assert sum(share.takes(gateway) for share in shares) == 1
    for share in shares:
        assert 200 < sum(map(share.takes, gateways)) < 300
    assert all(map(Share().takes, gateways))


def test_another_recorder_moves_only_what_it_takes() -> None:
    gateways = [f"gateway-{number}" for number in range(1_000)]
    moved = [one for one in gateways if share_of(one, 4) != share_of(one, 5)]
    assert {share_of(one, 5) for one in moved} == {5}
    assert len(moved) < 260
