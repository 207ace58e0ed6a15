"""The address of a person that was entered on the page: which kinds there are, which of each are
allowed, how one is shown without saying it, and what Apprise makes of it.

Whoever may change settings on the page is no administrator of the machine. So the kinds and the
services are a fixed list, an address leads neither to this machine nor to the network's own
services, and what needs an account (mail, SMS, Telegram) goes over the one that the configuration
names. ``control`` asks this before it saves an address, and ``notify`` again each time it uses one.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import parse_qsl, quote, urlsplit

from gateway.settings.values.problems import Phrase, phrase

Kind = Literal["mail", "sms", "telegram", "ntfy", "own"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
OVER_ACCOUNT: Final[tuple[Kind, ...]] = ("mail", "sms", "telegram")
"""Kinds that need an account of the building: ``messages: {mail: !secret …}``."""
TO = "{to}"
"""Where the recipient goes in the address of that account."""
LONGEST = 500

SCHEMES: Final = frozenset(
    {
        "bark", "barks", "clicksend", "discord", "gchat", "gotify", "gotifys", "json", "jsons",
        "mailto", "mailtos", "matrix", "matrixs", "mmost", "mmosts", "msgbird", "nctalk",
        "nctalks", "ntfy", "ntfys", "pbul", "pover", "rocket", "rockets", "seven", "signal",
        "signals", "sinch", "slack", "smseagle", "smseagles", "synology", "synologys", "tgram",
        "threema", "twilio", "vonage", "wxteams", "zulip",
    }
)  # fmt: skip
"""Services of Apprise that an own address may name; none of them reads files or runs programs."""
_SMS: Final = (
    "bulksms", "bulkvs", "burstsms", "clicksend", "d7sms", "kavenegar", "msg91", "msgbird", "nexmo",
    "plivo", "seven", "sinch", "smseagle", "smseagles", "smsmanager", "smsmgr", "sns", "twilio",
    "voipms", "vonage",
)  # fmt: skip
MEDIUM_OF_SCHEME: Final = {
    "mailto": "mail",
    "mailtos": "mail",
    "tgram": "telegram",
    "ntfy": "ntfy",
    "ntfys": "ntfy",
    **dict.fromkeys(_SMS, "sms"),
}
"""What an address of Apprise goes by, where people have a word of their own for it."""
PUSH, OTHER = "push", "other"
MEDIA: Final = ("mail", "sms", "telegram", "ntfy", PUSH, OTHER)
"""What a message can go by, as facts and the page name it."""
USUAL: Final = ("ntfys", "gotifys", "mailtos", "matrixs", "signals", "slack", "jsons")
FORBIDDEN_OPTIONS: Final = frozenset(
    {"attach", "config", "file", "include", "keyfile", "pgp", "pgpkey", "redirect", "template"}
)
"""Options of theirs that read a file of this machine, or follow wherever the other side says."""
METADATA: Final = frozenset({"100.100.100.200", "fd00:ec2::254", "168.63.129.16"})
"""Services of a provider's network that hand out passwords; all others are link-local."""

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}\Z")
_PHONE = re.compile(r"\+?[0-9]{5,15}\Z")
_TELEGRAM = re.compile(r"(-?[0-9]{4,20}|@[A-Za-z][A-Za-z0-9_]{4,31})\Z")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NTFY_SH = "ntfy.sh"


class RecipientError(ValueError):
    """An address that is not allowed or not understood. ``message`` and ``hint`` say why, and
    never hold the address."""

    def __init__(self, message: Phrase, hint: Phrase) -> None:
        super().__init__(str(message))
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody's address. ``to``: a mail address, a number, a chat, a topic or an address of
    Apprise, as its kind says."""

    kind: Kind
    to: str

    def __repr__(self) -> str:
        return f"Recipient({self.kind!r})"  # it must not stand in a log

    @property
    def guarded(self) -> bool:
        """Whether the address itself says which machine is called."""
        return self.kind not in OVER_ACCOUNT

    def masked(self) -> str:
        """As much as whoever knows the address needs to know it again."""
        if self.kind == "mail":
            name, _, host = self.to.rpartition("@")
            return f"{_ends(name)}@{host}"
        if self.kind == "own":
            return f"{urlsplit(self.to).scheme}://…"
        return f"…{self.to[-4:]}" if len(self.to) > 6 else "…"

    def written(self) -> bytes:
        """As it is saved."""
        return json.dumps({"kind": self.kind, "to": self.to}, ensure_ascii=False).encode() + b"\n"

    def address(self, account: str = "") -> str:
        """What Apprise is given. ``account``: the address of the building's account of this kind,
        with ``{to}`` in it."""
        if self.kind == "own":
            return self.to
        if self.kind == "ntfy":
            parts = urlsplit(self.to) if "://" in self.to else None
            host = _NTFY_SH if parts is None else parts.netloc
            topic = self.to if parts is None else parts.path.strip("/")
            return f"ntfys://{host}/{topic}"
        if TO not in account:
            raise RecipientError(
                phrase(
                    "the building has no account for {kind} with {to} in it", kind=self.kind, to=TO
                ),
                phrase("write it into the secret of messages: {kind}", kind=self.kind),
            )
        return account.replace(TO, quote(self.to, safe=""))


def _ends(word: str) -> str:
    """The first and the last character."""
    return f"{word[0]}…{word[-1]}" if len(word) > 2 else "…"


def recipient(kind: str, to: str, hosts: tuple[str, ...] = ()) -> Recipient:
    """An address as somebody typed it. ``hosts``: of this machine and its network's own services,
    those that the configuration allows. Raises :class:`RecipientError`."""
    if kind not in KINDS:
        raise RecipientError(
            phrase("this is no kind of address"),
            phrase("possible are {choices}", choices=", ".join(KINDS)),
        )
    text = to.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise RecipientError(
            phrase("the address is missing, too long or not printable"), phrase("write one line")
        )
    check = {"mail": _mail, "sms": _phone, "telegram": _telegram, "ntfy": _ntfy, "own": _own}[kind]
    return Recipient(kind, check(text, hosts))


def read(written: str, hosts: tuple[str, ...] = ()) -> Recipient:
    """An address as it was saved, judged anew: whoever can write the file is not asked here.
    Raises :class:`RecipientError`."""
    try:
        value = json.loads(written)
        kind, to = value["kind"], value["to"]
    except (ValueError, TypeError, KeyError):
        raise _not_saved() from None
    if not isinstance(kind, str) or not isinstance(to, str):
        raise _not_saved()
    return recipient(kind, to, hosts)


def _not_saved() -> RecipientError:
    return RecipientError(
        phrase("the saved address cannot be read"), phrase("enter it again on the page Settings")
    )


def _mail(text: str, _hosts: tuple[str, ...]) -> str:
    if not _MAIL.match(text) or len(text) > 254:
        raise RecipientError(
            phrase("this is no e-mail address"), phrase("write for example name@example.org")
        )
    return text


def _phone(text: str, _hosts: tuple[str, ...]) -> str:
    number = re.sub(r"[\s/().-]", "", text)
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not _PHONE.match(number):
        raise RecipientError(
            phrase("this is no telephone number"), phrase("write for example +49 341 1234567")
        )
    return number


def _telegram(text: str, _hosts: tuple[str, ...]) -> str:
    if not _TELEGRAM.match(text):
        raise RecipientError(
            phrase("this is no chat of Telegram"),
            phrase("write the number of the chat, or the name of a channel such as @house"),
        )
    return text


def _ntfy(text: str, hosts: tuple[str, ...]) -> str:
    if _TOPIC.match(text):
        return text
    parts = _split(text)
    if parts[0] != "https" or not _TOPIC.match(parts[2].strip("/")) or parts[3]:
        raise RecipientError(
            phrase("this is no topic of ntfy"),
            phrase("write the topic, or https://SERVER/TOPIC for a server of your own"),
        )
    _reachable(parts[1], hosts)
    return text


def _own(text: str, hosts: tuple[str, ...]) -> str:
    scheme, host, _, query = _split(text)
    if scheme not in SCHEMES:
        raise RecipientError(
            phrase("addresses of this service cannot be entered here"),
            phrase("possible are for example {choices}", choices=", ".join(USUAL)),
        )
    names = [name.lstrip("+-:").casefold() for name, _ in parse_qsl(query, True)]
    wrong = sorted(FORBIDDEN_OPTIONS & set(names))
    if wrong:
        raise RecipientError(
            phrase("the option {name} is not allowed here", name=wrong[0]),
            phrase("leave it out, or write the address into a secret of the configuration"),
        )
    _reachable(host, hosts)
    return text


def _split(text: str) -> tuple[str, str, str, str]:
    """Scheme, host, path and query."""
    try:
        parts = urlsplit(text)
        return parts.scheme.casefold(), parts.hostname or "", parts.path, parts.query
    except ValueError:
        raise RecipientError(
            phrase("this is no address"), phrase("write for example ntfys://SERVER/TOPIC")
        ) from None


_ODD_NUMBER = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+))*\Z")
"""Also ``127.1`` and ``2130706433`` are this machine."""


def _reachable(host: str, hosts: tuple[str, ...]) -> None:
    """A number and the machine's own name are judged now; what another name leads to, when it is
    called."""
    folded = host.casefold().rstrip(".")
    if folded in hosts:
        return
    try:
        ipaddress.ip_address(folded.partition("%")[0])
        local = is_forbidden(folded)
    except ValueError:
        own_names = folded in ("localhost", "ip6-localhost")
        local = own_names or folded.endswith((".localhost", ".internal"))
        local = local or _ODD_NUMBER.match(folded) is not None
    if local:
        raise RecipientError(
            phrase("this address leads to this machine or to a service of its network"),
            phrase("an administrator can allow the machine: messages: {{page_hosts: […]}}"),
        )


def is_forbidden(host: str) -> bool:
    """Whether this number leads to this machine or to a service of its network; a name does not
    say."""
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address):
        inner = number.ipv4_mapped or number.sixtofour
        if inner is not None and is_forbidden(str(inner)):
            return True
    return (
        number.is_loopback
        or number.is_link_local
        or number.is_unspecified
        or number.is_multicast
        or str(number) in METADATA
        or (number.version == 4 and number in ipaddress.ip_network("0.0.0.0/8"))
    )
