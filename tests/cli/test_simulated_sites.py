"""What ``make run-sites`` makes before it starts anything."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.app import broker
from gateway.app.configuration import load
from gateway.app.running import simulated_sites
from gateway.app.running.simulated_sites import OPENS, REFUSES, SITES, Part, configuration
from gateway.settings.values.secrets import Secret, places
from gateway.sites.keys import SECRET, Keys

BENCH = Path("config/bench.yaml")


@pytest.fixture
def made(tmp_path: Path) -> list[Part]:
    parts = simulated_sites.parts(tmp_path, 18_400)
    simulated_sites.make(parts, BENCH)
    return parts


def test_each_gateway_has_a_configuration_of_its_own(made: list[Part]) -> None:
    settings = {part.name: load.settings(part.config) for part in made[1:]}
    assert [one.gateway.id for one in settings.values()] == [site.id for site in SITES]
    assert len({one.gateway.name for one in settings.values()}) == len(SITES)
    for site in SITES:
        found = settings[site.id]
        assert list(found.doors) == [site.door]
        assert found.mqtt is not None
        assert found.mqtt.embedded
        assert (found.record, found.recorders) == (None, ("centre",))
        assert found.hints == load.settings(BENCH).hints
    doors = {name: one.mqtt.issuers["sites"] for name, one in settings.items() if one.mqtt}
    assert doors[OPENS.id].may == ("acknowledge", "open")
    assert list(doors[OPENS.id].doors) == [OPENS.door]
    assert doors[REFUSES.id].may == ("acknowledge",)


def test_the_centre_knows_all_of_them_and_has_their_keys(made: list[Part]) -> None:
    centre, *gateways = made
    settings = load.sites(centre.config)
    grouped = {one for gateways in settings.groups.values() for one in gateways}
    assert grouped == {site.id for site in SITES}
    keys = Keys(centre.state, Secret(SECRET, places(centre.config)))
    assert set(keys.enrolled()) == grouped
    for part in gateways:
        file = part.folder / "secrets" / "sites_key"
        assert file.read_bytes().strip() == keys.key(part.name)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_start_leaves_everything_as_it_is(made: list[Part], tmp_path: Path) -> None:
    assert all(part.password for part in made)
    made[1].config.write_text(made[1].config.read_text() + "# changed by somebody\n")
    before = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.suffix in {".yaml", ""} and path.is_file()
    }
    again = simulated_sites.parts(tmp_path, 18_400)
    simulated_sites.make(again, BENCH)
    assert not any(part.password for part in again)
    after = {path: path.read_bytes() for path in before}
    assert after == before


def test_a_key_that_a_gateway_has_lost_is_put_back(made: list[Part], tmp_path: Path) -> None:
    file = made[2].folder / "secrets" / "sites_key"
    key = file.read_bytes()
    file.unlink()
    simulated_sites.make(simulated_sites.parts(tmp_path, 18_400), BENCH)
    assert file.read_bytes() == key


def test_pages_get_free_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "free", lambda _host, port: port not in {9000, 9002})
    ports = [part.port for part in simulated_sites.parts(tmp_path, 9000)]
    assert ports == [9001, 9003, 9004, 9005]


def test_a_bench_that_has_changed_is_named() -> None:
    with pytest.raises(ValueError, match="has no 'name: Haupteingang'"):
        configuration(OPENS, BENCH.read_text(encoding="utf-8").replace("Haupteingang", "Tor"))
