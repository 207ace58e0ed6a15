"""Every file that Portier writes: where it is, how large it may become, and what happens then.

One row each. A test lists a state folder after a rich run and finds every file here; another
test per row lets it grow beyond its limit. The table in ``gateway/STORED.md`` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePath

from gateway.app.configuration.plans import PLANS_MOST
from gateway.journal.reserve import SLOT_BYTES, SLOT_MOST
from gateway.journal.retention import AUDIT_SHARE, DROP_FROM, THIN_FROM
from gateway.journal.schema import LOG_BYTES
from gateway.link.refused_messages import FACTS_MOST
from gateway.link.saved import AWAY_MOST
from gateway.link.saved import BYTES_MOST as LINK_BYTES
from gateway.push.subscriptions import BYTES_MOST as DEVICE_BYTES
from gateway.push.subscriptions import DEVICES_MOST, OF_ONE_MOST
from gateway.recorder import digests, rejects, state
from gateway.recorder.stores import recent, sqlite
from gateway.set_aside import KEEP, KEEP_BYTES, LIFE_MS
from gateway.settings.editing.addresses import BYTES_MOST as ADDRESS_BYTES
from gateway.settings.editing.addresses import MOST as ADDRESSES_MOST
from gateway.settings.editing.file import BYTES_MOST as OVERLAY_BYTES
from gateway.settings.editing.file import VERSIONS_MOST
from gateway.settings.model.configuration import Journal
from gateway.settings.model.link import Record
from gateway.sites import keys as site_keys
from gateway.sites.audit import ENTRIES_MOST as AUDIT_MOST
from gateway.sites.grants import GRANTS_MOST
from gateway.web.identity.sessions import SESSIONS_MOST
from gateway.web.identity.tokens import TOKENS_MOST
from gateway.web.identity.users import REMOVED_MOST, USERS_MOST
from gateway.web.storage.outbox import MOST as ENTRIES_MOST
from gateway.web.storage.store import WAL_BYTES
from gateway.web.storage.testbook import SIGNED_MOST
from gateway.web.storage.weeks import WEEKS

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """``where``: patterns below the state folder (``*`` matches ``/``, too), or a place elsewhere,
    with a slash in front. ``enforcer``: ``module:function``, or who else sees to it."""

    id: str
    where: tuple[str, ...]
    what: str
    limit: str
    then: str
    enforcer: str


def _size(of_bytes: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 1_000)):
        if of_bytes >= size:
            return f"{of_bytes / size:g} {unit}"
    return f"{of_bytes} B"


@cache
def rows() -> tuple[StoredFile, ...]:
    """All of them; of two patterns that match, the first one counts."""
    journal = Journal.model_fields["limit_bytes"].default
    recorded = Record.model_fields["limit_bytes"].default
    config = "as long as the configuration has parts"
    few = f"{KEEP} of each file, together {_size(KEEP_BYTES)}"
    days = f"{LIFE_MS // DAY_MS} days"
    set_aside = "gateway.set_aside:move"
    return (
        StoredFile(
            "broken",
            ("journal.sqlite.broken-*", "journal.sqlite.schema-*"),
            "journals that were set aside, torn or of another version, with their logs",
            f"{few}, {days}",
            "the oldest go; the newest stays",
            set_aside,
        ),
        StoredFile(
            "repair",
            (
                "journal.sqlite.salvage",
                "journal.sqlite.salvage-*",
                "journal.sqlite.salvaged",
                "journal.sqlite.restore",
                "journal.sqlite.restore-*",
            ),
            "a journal while it is repaired or put back",
            "one, as large as the journal",
            "put in place; one that was cut short is removed at the next start",
            "gateway.journal.recovery:finish",
        ),
        StoredFile(
            "reserve",
            ("journal.sqlite.reserve", "journal.sqlite.reserve.new"),
            "the newest saved state while the journal does not take it",
            f"two slots of {_size(SLOT_BYTES)}, of {_size(SLOT_MOST)} at most",
            "a larger state is refused there",
            "gateway.journal.reserve:Reserve.save",
        ),
        StoredFile(
            "journal_log",
            ("journal.sqlite-wal", "journal.sqlite-shm"),
            "the journal's write-ahead log and its index",
            f"{_size(LOG_BYTES)} after a checkpoint; readers hold one up for 2 s at most",
            "cut back",
            "gateway.journal.schema:connect",
        ),
        StoredFile(
            "journal",
            ("journal.sqlite",),
            "the journal: facts, audit chain, means, saved state",
            f"`journal: limit` ({_size(journal)}); of that {AUDIT_SHARE:.0%} for the audit chain",
            f"from {THIN_FROM:.0%} readings become means, from {DROP_FROM:.0%} the oldest routine"
            " facts go, over it the oldest urgent ones, calls, messages and alarms last; each"
            " leaves `absent`; of the audit chain the oldest refusals go first",
            "gateway.journal.retention:Upkeep.fit",
        ),
        StoredFile(
            "users",
            ("web/web.sqlite",),
            "users, log-ins, tokens, second factors, test book, weeks of doors, entries that the"
            " audit chain does not have yet; at a centre what was granted, and its audit",
            f"{USERS_MOST} users and {REMOVED_MOST} removed ones, {TOKENS_MOST} tokens,"
            f" {SESSIONS_MOST} log-ins of a user, {SIGNED_MOST:,} signed pages, {WEEKS} weeks,"
            f" {ENTRIES_MOST:,} entries; {GRANTS_MOST} grants of a user, {AUDIT_MOST:,} entries of"
            " a centre's audit",
            "a user, token, test or change more is refused (what takes a right away is counted with"
            " the newest of its kind); the log-in unused for longest ends; the oldest names of"
            " removed users, the oldest weeks and the oldest entries of that audit go",
            "gateway.web.identity.users:Users",
        ),
        StoredFile(
            "users_broken",
            ("web/web.sqlite.broken*", "web/web.sqlite.seen-*"),
            "files of the users that were damaged, before and after an administrator has seen them",
            f"{few}, {days}",
            "the oldest go; the newest stays",
            set_aside,
        ),
        StoredFile(
            "users_repair",
            (
                "web/web.sqlite.damaged",
                "web/web.sqlite.reading*",
                "web/web.sqlite.building*",
                "web/web.sqlite.repaired",
            ),
            "a file of the users while it is made anew, and that it has to be",
            "one, as large as the damaged one",
            "put in place; one that was cut short is removed at the next repair",
            "gateway.web.identity.repair:repair",
        ),
        StoredFile(
            "users_log",
            ("web/web.sqlite-wal", "web/web.sqlite-shm"),
            "its write-ahead log and index",
            f"{_size(WAL_BYTES)} after a checkpoint",
            "cut back",
            "gateway.web.storage.store:Store",
        ),
        StoredFile(
            "recorder_broken",
            ("record/*.broken", "record/*.broken-*"),
            "files of the recorder that were damaged and set aside, with their logs",
            f"{few} or as large as the newest and the largest; {days}",
            "the oldest go; the newest and the largest stay",
            set_aside,
        ),
        StoredFile(
            "recorder_aside",
            ("record/recorder-*.aside.sqlite", "record/recorder-*.aside.sqlite-journal"),
            "points that the store refuses",
            f"{rejects.MOST:,} open ones and {_size(rejects.BYTES_MOST)}; the same again of settled"
            f" ones; {rejects.FOREIGN_MOST:,} messages of strangers, {rejects.NOTICES_MOST:,}"
            " second events of a number",
            "the recorder waits until somebody looks, and loses nothing; of settled ones,"
            " strangers and second events, which the store has, the oldest go",
            "gateway.recorder.rejects:has_room",
        ),
        StoredFile(
            "recorder",
            (
                "record/recorder-*.sqlite",
                "record/recorder-*.sqlite-wal",
                "record/recorder-*.sqlite-shm",
                "record/recorder-*.sqlite-journal",
            ),
            "what the recorder has accounted for, and its log",
            f"{state.GATEWAYS_MOST:,} gateways, each {state.JOURNALS_MOST} earlier journals and"
            f" {state.BOOTS_MOST:,} starts; {state.RUNS_MOST:,} series, {state.MOVED_MOST:,} moved"
            f" times, {state.MARKS_MOST:,} marks, {state.WAITING_MOST:,} facts without a time;"
            f" {state.DIGESTS_MOST:,} rows of {digests.BLOCK} numbers that came last; log"
            f" {_size(state.WAL_BYTES)}",
            "another gateway is not recorded, and named; of the rest the oldest go; a fact without"
            " a time gets that of its receipt",
            "gateway.recorder.state:RecorderState.fit",
        ),
        StoredFile(
            "recorder_lock",
            ("record/recorder-*.lock",),
            "held by the one recorder of this name",
            "empty",
            "–",
            "gateway.recorder.state:StateLock",
        ),
        StoredFile(
            "recorded_recent",
            ("record/*-recent", "record/*-recent-wal"),
            "readings that wait to be moved into it, where `record: store` is `sqlite`",
            f"{recent.MOST} readings; log {_size(sqlite.WAL_BYTES)}",
            "they are moved into the history",
            "gateway.recorder.stores.recent:RecentReadings",
        ),
        StoredFile(
            "recorded",
            ("record/*",),
            "the history, where `record: store` is `sqlite`, and its log",
            f"`record: limit` ({_size(recorded)}); log {_size(sqlite.WAL_BYTES)}",
            "the oldest points go, calls, messages and alarms last; their room is used again",
            "gateway.recorder.stores.sqlite:SqliteStore.expire",
        ),
        StoredFile(
            "link",
            (
                "link/link.json",
                "link/link.json.new",
                "link/link.json.unread",
                "link/link.json.format-*",
            ),
            "facts that the broker refuses; what Home Assistant was told; which keys"
            " of issuers were replaced",
            f"{FACTS_MOST:,} facts of each lane; {_size(LINK_BYTES)}; {AWAY_MOST} files of other"
            " versions",
            "the lane waits, and is named; one file that cannot be read is put away; of those of"
            " other versions the oldest go",
            "gateway.link.refused_messages:RefusedMessages.add_fact",
        ),
        StoredFile(
            "devices",
            ("push/*",),
            "devices that take push messages, with their addresses: for `notify` alone",
            f"{OF_ONE_MOST} of a user, {DEVICES_MOST} in all, each {_size(DEVICE_BYTES)}",
            "another one is refused",
            "gateway.push.subscriptions:Subscriptions.add",
        ),
        StoredFile(
            "push_keys",
            ("notify/*",),
            "key for push messages; which devices take none any more",
            f"1 kB; {DEVICES_MOST} devices",
            "written once; devices that `web` has removed go",
            "gateway.notify.devices:Devices.result",
        ),
        StoredFile(
            "plans",
            ("plan/*",),
            "the configuration as `control` starts from it",
            f"{PLANS_MOST}, each {config}",
            "the oldest go",
            "gateway.app.configuration.plans:keep",
        ),
        StoredFile(
            "overlay",
            ("overlay.yaml", "overlay.new", "overlay.trial"),
            "what was set on the page",
            _size(OVERLAY_BYTES),
            "more is refused: `too_large`",
            "gateway.settings.editing.edit:edit",
        ),
        StoredFile(
            "versions",
            ("overlay.before/*",),
            "the versions of it before",
            f"{VERSIONS_MOST}, each {_size(OVERLAY_BYTES)}",
            "the oldest go",
            "gateway.settings.editing.file:Store.write",
        ),
        StoredFile(
            "addresses",
            ("addresses/*",),
            "addresses of people that were entered on the page; `control` writes them, `notify`"
            " reads them, nobody else can; in backups only encrypted",
            f"{ADDRESSES_MOST}, each {_size(ADDRESS_BYTES)}",
            "one more is refused; one that no contact has goes with the contact",
            "gateway.settings.editing.addresses:Addresses.add",
        ),
        StoredFile(
            "backup_work",
            ("backup/work-*",),
            "copies of the databases while a backup is made, and what is in an archive while it is"
            " put back",
            "one, as large as the archive; 200 MB of the disk stay free",
            "removed at the end; what was cut short at the next backup or restore",
            "gateway.backup.records:BackupRecords.locked",
        ),
        StoredFile(
            "backup_notes",
            ("backup/*",),
            "the key for which backups are encrypted (not the one that reads them), when the last"
            " one was and when the recovery key was at hand: for root alone",
            "1 kB each",
            "written anew",
            "gateway.backup.records:BackupRecords.store_last",
        ),
        StoredFile(
            "sites_keys",
            ("sites/keys", "sites/keys.new", "sites/keys.lock"),
            "the keys that the centre signs its commands with, encrypted under the secret"
            f" `{site_keys.SECRET}`; in no backup",
            f"{site_keys.MOST:,} gateways",
            "another gateway is not enrolled",
            "gateway.sites.keys:Keys.enrol",
        ),
        StoredFile(
            "notes",
            ("outputs.json", "outputs.new", "accepted-wiring.json", "accepted-wiring.new"),
            "which relays there are; which wiring may stay",
            config,
            "written anew",
            "gateway.app.outputs:note",
        ),
        StoredFile(
            "marks",
            ("control.lock", "centre.lock", "link.key", "link.new", "broker.toml", "panel.sock"),
            "lock of `control`, key of links, embedded broker's settings, socket of the panel",
            "1 kB",
            "written once, or anew",
            "gateway.panel.tickets:make_key",
        ),
        StoredFile(
            "logs",
            ("/var/log/journal",),
            "logs of the services; `portier run` writes to its terminal and stores nothing",
            "14 days, 500 MB (`/etc/systemd/journald.conf.d/50-portier.conf`)",
            "the oldest go",
            "systemd-journald",
        ),
        StoredFile(
            "broker",
            ("/var/lib/mosquitto",),
            "messages that a recorder has not fetched",
            "200,000 of a client and 268 MB (`deploy/mosquitto/portier.conf`), 30 days",
            "the oldest go; the recorder asks for them again",
            "mosquitto",
        ),
        StoredFile(
            "copies",
            ("/wherever --out or FILE says",),
            "exports and backups that somebody asks for, with `.part` while they are written;"
            " backups of every night in the folder `backup: to`",
            "one, at most as large as the databases together, as text three times the journal;"
            " of those of every night `backup: keep` (14)",
            "one that is not finished is removed; the oldest of every night go",
            "gateway.backup.make:to_folder",
        ),
    )


def of(path: PurePath) -> StoredFile | None:
    """The row of a file; ``path``: below the state folder."""
    name = path.as_posix()
    return next((row for row in rows() if any(fnmatchcase(name, one) for one in row.where)), None)
