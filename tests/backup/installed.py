"""An installed gateway in folders of a test: configuration, state, and the broker's files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gateway.backup import key
from gateway.backup.contents import Places
from gateway.backup.records import BackupRecords
from gateway.core.facts import Fact
from gateway.journal.store import Store
from gateway.settings.editing.addresses import Addresses
from gateway.web.identity.users import Users, users_file
from gateway.web.storage.testbook import TestBook
from tests.identity import start_session
from tests.journal.journal_desk import opened, work
from tests.settings.house import SMALL

PASSWORD = "correct horse battery"
ADDRESS = "care@home.example"
SECRET = "mailtos://user:needle@mail.example.org"
PRIVATE = "-----BEGIN PRIVATE KEY-----\nneedle\n-----END PRIVATE KEY-----\n"


def places_in(top: Path) -> Places:
    """Empty places, as the installer makes them."""
    places = Places(top / "etc/portier/portier.yaml", top / "state")
    for folder in (places.config.parent, places.state, places.broker / "conf.d"):
        folder.mkdir(parents=True)
    return places


def filled(top: Path) -> Places:
    """Something of everything that belongs into a backup."""
    places = places_in(top)
    folder = places.config.parent
    for name in ("secrets", "tls"):
        (folder / name).mkdir()
    places.config.write_text(SMALL, encoding="utf-8")
    (folder / "secrets/caretaker_url").write_text(SECRET, encoding="utf-8")
    (folder / "tls/ca.pem").write_text("a certificate\n", encoding="utf-8")
    (folder / "tls/ca.key").write_text(PRIVATE, encoding="utf-8")
    (folder / "tls/ca.key").chmod(0o600)
    (places.broker / "portier.acl").write_text("user link\n", encoding="utf-8")
    (places.broker / "conf.d/portier.conf").write_text("port 8883\n", encoding="utf-8")
    store = Store(places.state / "journal.sqlite", "boot-1")
    gone = Fact("motion", "wc.pir", 2, {"active": True, "secret": "needle"})
    started = Fact("gateway_started", "csg-office", 1, {})
    store.write(work(started, opened(1), gone, saved_state={"format": 1}))
    store.close(clean=True)
    with closing(Users(users_file(places.state))) as users:
        anna = users.add_user("anna", "admin", PASSWORD)
        start_session(users, anna.id)
    book = TestBook(users_file(places.state))
    book.sign(book.begin("call", "wc-1", "WC", (), after_row=0, now=1), anna.id, "", 2)
    Addresses(places.state).add({"x": {"kind": "mail", "to": ADDRESS}})
    (places.state / "overlay.yaml").write_text("# cli 2026-11-30T00:00:00Z\n", encoding="utf-8")
    (places.state / "accepted-wiring.json").write_text("[]", encoding="utf-8")
    (places.state / "record").mkdir()
    (places.state / "sites").mkdir()
    (places.state / "sites/keys").write_text("of a centre: in no archive", encoding="utf-8")
    return places


def with_key(places: Places) -> key.RecoveryKey:
    """A recovery key, stored as the first backup does."""
    made = key.new()
    own = BackupRecords(places.state)
    own.prepare()
    own.store_key(made.public)
    return made


def files_below(folder: Path) -> dict[str, bytes]:
    """All but the logs of SQLite, which come and go with who reads."""
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in sorted(folder.rglob("*"))
        if one.is_file() and not one.is_symlink() and not one.name.endswith(("-wal", "-shm"))
    }
