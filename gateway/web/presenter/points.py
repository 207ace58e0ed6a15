"""One point in words: its level, what it measures, and what is wrong with it."""

from __future__ import annotations

from gateway.core.snapshot_types import PointShown
from gateway.web.presenter.sentences import Sentences
from gateway.web.presenter.view_models import PointView


def point_view(presenter: Sentences, id: str, point: PointShown) -> PointView:
    """A point of the snapshot as the pages show it; unknown while ``control`` is away."""
    if presenter.control.stale:
        point = {
            **point,
            "active": None,
            "raw": None,
            "quantities": {},
            "reason": presenter.control.away_reason,
        }
    w, kind, raw = presenter.w, str(point["kind"]), ""
    if kind == "meter":
        values = [
            w.measured(value, name)
            for name, q in (point.get("quantities") or {}).items()
            if (value := q.get("value")) is not None
        ]
        level, known = ", ".join(values) or w("level.contact_unknown"), bool(values)
    else:
        level, known = _level(presenter, kind, point.get("active")), point.get("active") is not None
        raw = _level(presenter, kind, point.get("raw")) if kind == "contact" else ""
    faults = [w.get(f"point_fault.{fault}", str(fault)) for fault in point.get("faults") or []]
    if point.get("reason"):
        faults.append(presenter.reason(str(point["reason"])).rstrip("."))
    return PointView(
        id=id,
        name=presenter.terminals.name(w, id),
        label=presenter.terminals.labels.get(id, ""),
        kind=kind,
        kind_text=w.get(f"point.{kind}", kind),
        level=level,
        active=point.get("active") is True,
        raw=raw,
        since=presenter.seen_since(point.get("since_ms")),
        changes=int(point.get("changes") or 0),
        faults="; ".join(faults),
        known=known,
    )


def _level(presenter: Sentences, kind: str, level: bool | None) -> str:
    name = "unknown" if level is None else ("on" if level else "off")
    return presenter.w(f"level.{kind if kind == 'relay' else 'contact'}_{name}")
