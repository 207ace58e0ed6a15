"""The file: text until it is typed, every key with its place, and bounded in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.values.problems import SettingsError
from gateway.settings.values.tree import LARGEST_BYTES, parse
from tests.settings.house import SMALL, changed, loaded, problems, said, with_door


def test_values_mean_what_is_written() -> None:
    root = parse(b"a: {t: 22:00, n: 017, no: no, on: on, e: 1e3, x: 0x1F, nil: ~}", "f", [])
    node = root.child("a")
    assert node is not None
    assert {k: v.text for k, (_, v) in (node.entries or {}).items()} == {
        "t": "22:00", "n": "017", "no": "no", "on": "on", "e": "1e3", "x": "0x1F", "nil": "~",
    }  # fmt: skip


def test_mode_off_is_a_word_and_no_truth_value(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, changed(SMALL, ("leaf: front.leaf", "leaf: front.leaf\n    mode: off"))
    )
    assert settings.doors["front"].mode == "off"


def test_keys_and_values_know_line_and_column() -> None:
    root = parse(b"a:\n  - x\n  - {bb: [1, 22]}\n", "f", [])
    node = root.child("a")
    inner = node.child(1) if node else None
    assert inner is not None
    assert inner.entries is not None
    mark, value = inner.entries["bb"]
    assert (mark.line, mark.column) == (3, 6)
    assert [(i.mark.line, i.mark.column) for i in value.items or []] == [(3, 11), (3, 14)]


def test_a_key_that_is_there_twice_is_an_error_that_names_the_first_line(tmp_path: Path) -> None:
    text = changed(SMALL, ("leaf: front.leaf\n", "leaf: front.leaf\n    leaf: front.leaf\n"))
    assert said(tmp_path, text) == (
        "portier.yaml:11:5: doors.front.leaf: is here twice, first in line 10; keep one of the two"
    )


def test_a_point_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    line = "  front.leaf: {driver: gpio_contact, pin: GPIO18, wiring: normally_closed}\n"
    assert "points.front.leaf: is here twice" in said(tmp_path, changed(SMALL, (line, line * 2)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1:1: is empty"),
        (b"# nothing\n", "1:1: is empty"),
        (b"- a\n", "1:1: must be a mapping"),
        (b"a: 1\n--- \nb: 2\n", "2:1: a second document begins here; remove the ---"),
        (b"a: [1, 2\nb: 3\n", "is not YAML"),
        (b"a: 1\n\tb: 2\n", "2:1: is not YAML"),
        (b'a: 1\nb: "x\nc: 2\n', "unexpected end of stream (it begins in line 2)"),
        (b"a: b: c\n", "1:5: is not YAML"),
        (b"a: 1\nb: \xff\n", "2:4: is not UTF-8; save the file as UTF-8"),
        (b"a: \x07\n", "1:1: holds a character that YAML forbids (U+0007)"),
        (b'a: "\\UFFFFFFFF"\n', "is not YAML"),
        (b'a: "\\ud800"\n', "1:4: a: holds half a character"),
        (b"? {x: 1}\n: 2\n", "1:3: a key must be a plain text"),
        (b"a: !!python/object:os.system x\n", "the tag tag:yaml.org,2002:python/object:os.system"),
        (b"a: !include x\n", "1:4: a: the tag !include is not known; only !secret NAME is"),
        (b"a: !secret ../../etc/shadow\n", "!secret wants the name of a file"),
        (b"a: *b\n", "1:4: a: *b is not defined above"),
        (b"a: &a [*a]\n", "a[0]: *a contains itself"),
    ],
)
def test_what_is_no_sound_yaml_is_told_with_its_place(
    tmp_path: Path, data: bytes, message: str
) -> None:
    assert message in said(tmp_path, data)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\n", "f", []).child("a") is not None


def test_an_alias_stands_for_the_value_it_names(tmp_path: Path) -> None:
    text = changed(
        SMALL,
        ("leaf: front.leaf", "leaf: front.leaf\n    opens_within: &t 4 s\n    closes_within: *t"),
    )
    door = loaded(tmp_path, text).doors["front"]
    assert (door.opens_within_ms, door.closes_within_ms) == (4000, 4000)


def test_a_billion_laughs_end_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 20000 values" in said(tmp_path, "\n".join(lines))


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    assert "larger than 256 KB" in said(tmp_path, b"#" * (LARGEST_BYTES + 1))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(tmp_path: Path, opening: str) -> None:
    assert problems(tmp_path, opening * 20_000)


def test_a_file_that_is_not_there_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    from gateway.settings.load import load

    with pytest.raises(SettingsError, match="cannot be read") as caught:
        load(tmp_path / "none.yaml", {})
    assert caught.value.problems[0].hint == "check the path"


def test_a_value_that_is_not_written_is_told(tmp_path: Path) -> None:
    found = said(tmp_path, changed(SMALL, ("leaf: front.leaf\n", "leaf:\n")))
    assert "portier.yaml:10:10: doors.front.leaf: has no value; write one or remove" in found


def test_a_comma_in_a_key_in_braces_is_explained(tmp_path: Path) -> None:
    text = with_door("schedule: {mon,wed 08:00-12:00: automatic, otherwise: night}")
    assert "schedule.mon: has no value" in said(tmp_path, text)
    assert "in { } a key with a comma needs quotes" in said(tmp_path, text)
