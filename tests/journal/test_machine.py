"""A journal on a cloned card: both gateways would give the same numbers to different facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.journal import machine
from tests.journal.journal_desk import Desk, opened, read

HERE = "aaaa bbbb"


@pytest.mark.parametrize(
    ("elsewhere", "is_another"),
    [
        (HERE, False),
        ("cccc bbbb", True),
        ("aaaa cccc", True),
        ("- bbbb", False),
        ("- cccc", True),
        ("- -", False),
    ],
)
def test_a_journal_that_goes_on_on_another_machine_has_a_new_id_and_says_so(
    path: Path, elsewhere: str, is_another: bool
) -> None:
    ids = []
    for boot, where in (("boot-1", HERE), ("boot-2", elsewhere), ("boot-3", elsewhere)):
        desk = Desk(path, boot, machine=where).start()
        desk.append(opened(1))
        desk.until(lambda desk=desk: desk.facts("door_opened"))
        desk.journal.sent("urgent", 1)
        desk.close()
        ids.append(read(path).journal_id())
        said = [fact.data["reason"] for fact in desk.facts("journal_recovered")]
        assert {fact.subject for fact in desk.facts("journal_recovered")} <= {"gw"}
        assert said == (["another_machine"] if is_another and boot == "boot-2" else [])
    assert (ids[0] != ids[1]) is is_another
    assert ids[1] == ids[2]


def test_a_journal_from_before_takes_the_machine_that_it_is_on(path: Path) -> None:
    for boot, where in (("boot-1", ""), ("boot-2", HERE), ("boot-3", "")):
        desk = Desk(path, boot, machine=where).start()
        desk.append(opened(1))
        desk.until(lambda desk=desk: desk.rows)
        desk.close()
        assert not desk.facts("journal_recovered")
    again = Desk(path, "boot-4", machine="cccc dddd").start()
    again.until(lambda: again.facts("journal_recovered"))
    again.close()


def test_an_identity_is_a_checksum_of_what_can_be_read(tmp_path: Path) -> None:
    board, system = tmp_path / "serial-number", tmp_path / "machine-id"
    board.write_bytes(b"10000000abcdef\0")
    found = machine.identity((board, system))
    assert found.endswith(" -")
    assert "abcdef" not in found
    system.write_text("0123\n")
    both = machine.identity((board, system))
    assert not machine.differs(found, both)
    board.write_bytes(b"10000000123456\0")
    assert machine.differs(found, machine.identity((board, system)))
    system.write_text("")
    assert machine.identity((board, system)).endswith(" -")
