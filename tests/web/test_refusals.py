"""What the loader refuses on the page Settings is said in German on a German page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.editing.edit import edit
from gateway.settings.editing.file import Store
from gateway.settings.values.problems import parts, phrase, suggest
from gateway.web.settings import refusals
from tests.settings.house import DRIVERS, NOW, write
from tests.web.conftest import Web
from tests.web.test_settings import HOUSE, house

__all__ = ["house"]
SETTINGS = Path(__file__).parents[2] / "gateway" / "settings"
OTHER_PEOPLE = {
    "checks/rooms.py": {"_known", "_escalation"},
    "checks/doors.py": {"_hold_open", "_schedule"},
}
"""Of these files only what judges what the page can change; the others judge nothing else."""
WHOLE = (
    "values/weekly.py", "values/units.py", "values/problems.py", "checks/contact_secrets.py",
    "overlay.py", "editing/file.py", "editing/edit.py", "editing/addresses.py",
    "values/recipients.py",
)  # fmt: skip


def front(**lines: str) -> dict[str, Any]:
    return {"doors": {"front": {"schedule": lines}}}


def care(*steps: dict[str, str]) -> dict[str, Any]:
    return {"escalations": {"care": list(steps)}}


REFUSED = [
    front(**{"mon 25:00-26:00": "night"}),
    front(**{"mon 08:00-08:00": "night"}),
    front(**{"2026-13-01": "night"}),
    front(**{"2026-12-02..2026-12-01": "night"}),
    front(**{"2026-12-02..2029-12-01": "night"}),
    front(mo="night"),
    front(**{"mon-tue-wed": "night"}),
    front(**{"08:00-09:00 mon": "night"}),
    front(**{"mon 2026-12-02": "night"}),
    front(**{"": "night"}),
    front(mon="nigth"),
    front(mon="hold_open", otherwise="night"),
    front(**{"mon-fri 08:00-12:00": "night", "mon 11:00-13:00": "off", "otherwise": "night"}),
    front(mon="night"),
    front(**{str(number): "night" for number in range(201)}),
    {"doors": {"front": {"schedule": "x"}}},
    {"doors": {"front": {"exceptions": {"mon": "night"}}}},
    {"doors": {"front": {"exceptions": {"otherwise": "night"}}}},
    {"doors": {"front": {"activation": "x"}, "frnt": {"schedule": {}}}},
    {"doors": "x", "points": {}},
    {"contacts": {"new": {"channels": []}}},
    {"contacts": {"new": {"channels": [{"secret": "no name!"}]}}},
    {"contacts": {"Neu!": {"channels": [{"secret": "desk_url"}]}}},
    {"contacts": {"desk": {"hours": ["mon 08:00-12:00", "mon 11:00-13:00"]}}},
    care(),
    care({"after": "0 s", "notify": "nobody"}),
    care({"after": "0 s", "notify": "Nie Mand"}),
    care({"after": "0 s", "every": "20 s", "notify": "desk"}),
    care({"every": "1 s", "notify": "desk"}),
    care({"after": "9 s", "notify": "desk"}, {"after": "9 s", "notify": "desk"}),
    care({"after": "x s", "notify": "desk"}),
    care({"after": "5", "notify": "desk"}),
    care({"after": "5 fortnights", "notify": "desk"}),
    care({"after": "0.0001 s", "notify": "desk"}),
    care({"after": "99999 y", "notify": "desk"}),
    {"contacts": {"desk": {"hours": ["x" * 501]}}},
    *(
        {"contacts": {"new": {"channels": [{"secret": name}]}}}
        for name in ("missing", "empty", "folder", "binary", "long", "lines", "strange")
    ),
]


SECRETS = {
    "desk_url": b"json://localhost",
    "empty": b"",
    "binary": b"\xff\xfe",
    "long": b"x" * 70_000,
    "lines": b"json://a\njson://b",
    "strange": b"password",
}


def templates(text: Any) -> Iterator[str]:
    """Of a text and of all that is in it."""
    if isinstance(text, list):
        yield text[0]
        for value in text[1].values():
            if isinstance(value, list):
                yield from templates(value)


@pytest.mark.parametrize("sections", REFUSED, ids=range(len(REFUSED)))
def test_each_refusal_has_german_words(tmp_path: Path, sections: dict[str, Any]) -> None:
    asked = {"do": "put", "version": "none", "sections": sections, "actor": "web:1"}
    store = Store(tmp_path / "overlay.yaml")
    secrets = tmp_path / "secrets"
    (secrets / "folder").mkdir(parents=True)
    for name, content in SECRETS.items():
        (secrets / name).write_bytes(content)
    answer = edit(asked, write(tmp_path, HOUSE), store, DRIVERS, NOW, lambda _address: False)
    assert answer["status"] == "refused"
    known = refusals.templates("de")
    for error in answer["errors"]:
        message, hint = error["parts"]
        assert isinstance(message, list), f"{message!r} does not say what it was made of"
        assert isinstance(hint, list) or not hint, f"{hint!r} does not say what it was made of"
        assert [
            one for part in (message, hint) for one in templates(part) if one not in known
        ] == []
        assert refusals.text("en", message) == error["message"]
        assert refusals.text("en", hint) == error["hint"]


def _functions(file: str) -> Iterator[ast.AST]:
    tree = ast.parse((SETTINGS / file).read_text())
    wanted = OTHER_PEOPLE.get(file)
    for node in ast.walk(tree) if wanted else [tree]:
        if wanted is None or (isinstance(node, ast.FunctionDef) and node.name in wanted):
            yield node


def _calls(file: str) -> Iterator[tuple[str, ast.Call]]:
    for function in _functions(file):
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func).rpartition(".")[2], node


@pytest.mark.parametrize("file", [*WHOLE, *OTHER_PEOPLE])
def test_nothing_is_refused_without_german_words(file: str) -> None:
    """A new problem with what the page can change is made with ``phrase`` and translated."""
    known, bare = refusals.templates("de"), []
    for name, call in _calls(file):
        first = call.args[0] if call.args else None
        if name == "phrase" and isinstance(first, ast.Constant):
            assert first.value in known
        if name in ("_Bad", "UnitError", "SectionsWrong"):
            bare += [a for a in call.args if isinstance(a, ast.Constant | ast.JoinedStr)]
        if name in ("complain", "problem"):
            bare += [a for a in call.args[-2:] if isinstance(a, ast.Constant | ast.JoinedStr)]
    assert [ast.unparse(one) for one in bare] == []


def test_a_translation_says_the_same_values() -> None:
    values = re.compile(r"(?<!\{)\{(\w+)(?:!r)?\}(?!\})")
    dropped = {"{meant} ({kind}s are listed under {kind}s:)"}
    for english, german in refusals.templates("de").items():
        if english not in dropped:
            assert sorted(set(values.findall(english))) == sorted(set(values.findall(german)))


def test_the_page_says_it_in_the_language_of_the_reader(house: Web) -> None:
    fields = {"first.0": "2026-12-24", "last.0": "2026-12-01", "mode.0": "off"}
    admin = house.as_("admin")
    given = {"door": "front", "do": "save", "version": "none", **fields}
    german = admin.post("/settings/days", data=given, headers={"Accept-Language": "de"}).text
    assert "endet, bevor es beginnt; bitte die beiden Tage tauschen" in german
    assert "ends before" not in german
    english = admin.post("/settings/days", data=given, headers={"Accept-Language": "en"}).text
    assert "ends before it begins; turn the dates round" in english


def test_a_text_without_a_translation_stays_english() -> None:
    assert refusals.text("de", parts(phrase("{a} is odd", a="it"))) == "it is odd"
    assert refusals.text("de", parts(suggest("x", ["one"]))) == "möglich sind „one“"


def test_words_of_the_file_are_marked_and_explained(tmp_path: Path) -> None:
    def shown(sections: dict[str, Any], language: str) -> str:
        asked = {"do": "put", "version": "none", "sections": sections, "actor": "web:1"}
        store = Store(tmp_path / "overlay.yaml")
        answer = edit(asked, write(tmp_path, HOUSE), store, DRIVERS, NOW, lambda _address: False)
        (error,) = answer["errors"]
        message, hint = (refusals.text(language, part) for part in error["parts"])
        return refusals.at(language, error["key"], f"{message}; {hint}")

    assert shown(front(mon="nigth"), "de") == (
        "„doors.front.schedule.mon“: „nigth“ ist keine Betriebsart; "
        "gemeint ist vielleicht „night“ (Nacht)"
    )
    assert shown(front(mon="nigth"), "en") == (
        "doors.front.schedule.mon: 'nigth' is not one of the modes; did you mean night?"
    )
    assert "„mo“ ist kein Wochentag; gemeint ist vielleicht „mon“ (Montag)" in shown(
        front(mo="off", otherwise="night"), "de"
    )
    asked = care({"after": "0 s", "notify": "nobody"})
    assert "Kontakt „nobody“ gibt es nicht" in shown(asked, "de")
