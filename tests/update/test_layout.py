"""Which releases there are, which one runs, and what an update that was cut short leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.update.errors import UpdateError
from gateway.update.layout import Layout, Pending, Release, link, order, version_of

PENDING = Pending("0.2.0", "0.1.0", ("portier-web.service",), ("call",))


def release(layout: Layout, version: str, digest: str = "d") -> Release:
    folder = layout.folder_for(version, digest)
    folder.mkdir(parents=True)
    return layout.complete(folder, version, digest)


def test_the_one_that_runs_changes_by_one_rename(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.current() is None
    old, new = release(layout, "0.1.0"), release(layout, "0.2.0")
    layout.make_current(old)
    assert layout.current() == old
    layout.make_current(new)
    assert layout.current() == new
    assert os.readlink(tmp_path / "current") == "releases/0.2.0", "it can be moved as a whole"


def test_a_link_replaces_a_file_and_says_whether_it_was_another(tmp_path: Path) -> None:
    place = tmp_path / "portier-web.service"
    place.write_text("[Unit]\n")
    assert link(place, "/somewhere")
    assert os.readlink(place) == "/somewhere"
    assert not link(place, "/somewhere")
    (tmp_path / ".portier-web.service.new").symlink_to("left")
    assert link(place, "/elsewhere"), "one that was cut short is in nobody's way"


def test_what_is_half_built_is_no_release(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    whole = release(layout, "0.1.0")
    half = layout.releases / "0.2.0"
    half.mkdir()
    incoming = tmp_path / "incoming-x"
    incoming.mkdir()
    assert layout.all() == [whole]
    assert layout.half_built() == [incoming, half]
    (tmp_path / "current").symlink_to("releases/0.2.0")
    assert layout.current() is None
    layout.remove(half)
    assert not half.exists()


def test_a_second_build_of_a_version_gets_a_name_of_its_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = release(layout, "0.2.0", "a" * 64)
    second = release(layout, "0.2.0", "b" * 64)
    assert (first.name, second.name) == ("0.2.0", "0.2.0+bbbbbbbb")
    assert (layout.named("0.2.0"), layout.named("0.3.0")) == (first, None)


def test_all_but_those_that_are_kept_are_superfluous(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    one, two, three = (release(layout, f"0.{number}.0") for number in (1, 2, 3))
    layout.make_current(three)
    layout.make_previous(two)
    assert layout.superfluous(layout.current(), layout.previous()) == [one]
    layout.make_previous(None)
    assert layout.previous() is None


def test_an_update_that_was_cut_short_is_known_until_it_is_finished(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.pending() is None
    layout.begin(PENDING)
    assert Layout(tmp_path).pending() == PENDING
    layout.end()
    layout.end()
    assert layout.pending() is None
    (tmp_path / "update.json").write_text("[")
    assert layout.pending() is None


def test_an_installation_in_place_is_seen_and_removed_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not layout.in_place()
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").touch()
    (tmp_path / ".venv").mkdir()
    kept = release(layout, "0.1.0")
    assert layout.in_place()
    layout.remove_in_place(("gateway", "LICENSE"))
    assert not layout.in_place()
    assert layout.all() == [kept]


def test_versions_are_in_the_order_of_their_numbers() -> None:
    versions = ["0.1.0", "0.2.0rc1", "0.2.0", "0.9.0", "0.10.0", "1.0"]
    mixed = [versions[place] for place in (3, 0, 5, 2, 4, 1)]
    assert sorted(mixed, key=order) == versions
    assert order("0.2.0+abcdef12") == order("0.2.0")


def test_a_folder_that_is_no_portier_is_named(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match=r"is no Portier: .*\n.*checkout"):
        version_of(tmp_path)
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/__init__.py").write_text('__version__ = "../x"\n')
    with pytest.raises(UpdateError, match="names no version"):
        version_of(tmp_path)
