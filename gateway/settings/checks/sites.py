"""The centre itself and its groups."""

from __future__ import annotations

from gateway.settings.checks.draft import SitesDraft
from gateway.settings.checks.hints import Hint, hint, lines, link_hints
from gateway.settings.checks.links import check_place
from gateway.settings.model.sites import Group
from gateway.settings.values.reading import Part

GROUP_NAME_MOST = 60


def check(draft: SitesDraft) -> None:
    """Report everything that is wrong with the centre and its groups."""
    part = draft.sites
    if part is not None and part.value is not None:
        check_place(draft, part, part.value.timezone, part.value.languages)
    record = draft.record
    if record is not None and record.value is not None and not record.value.gateways:
        draft.report(record, ("gateways",), "names no gateway", "write all, or remove the line")
    for name, group in draft.groups.items():
        _group(draft, name, group)


def _group(draft: SitesDraft, name: str, part: Part[Group]) -> None:
    if not name.strip() or len(name) > GROUP_NAME_MOST or not name.isprintable():
        message = "the name of this group is empty, too long or not printable"
        hint = f"write one line of at most {GROUP_NAME_MOST} characters"
        draft.reading.problem(part.mark, part.key[:70], message, hint)
    if part.value is None:
        return
    gateways = part.value.gateways
    if not gateways:
        draft.report(part, (), "has no gateway", "write [gateway, gateway], or remove the group")
    for number, gateway in enumerate(gateways):
        if gateway in gateways[:number]:
            draft.report(part, ("gateways", number), f"names {gateway} twice", "remove one of them")


def hints(draft: SitesDraft) -> tuple[str, ...]:
    """The hints in the order of the file. Only for a draft without problems."""
    return lines([*link_hints(draft), *_alone(draft)])


def _alone(draft: SitesDraft) -> list[Hint]:
    """A share of one is all: the number of recorders was probably forgotten."""
    part = draft.record
    if part is None or part.value is None or "share" not in part.value.model_fields_set:
        return []
    if part.value.share.of > 1:
        return []
    return [hint(part, ("share",), "is everything, as without it")]
