"""One point in words: its level, what it measures, and what is wrong with it."""

from __future__ import annotations

from gateway.core.shown import PointShown
from gateway.web.house.house import NO_PANEL
from gateway.web.scene.sentences import Sentences
from gateway.web.scene.shapes import PointScene


def point_scene(scene: Sentences, id: str, point: PointShown) -> PointScene:
    """A point of the snapshot as the pages show it; unknown while ``control`` is away."""
    if scene.house.stale:
        point = {**point, "active": None, "raw": None, "quantities": {}, "reason": NO_PANEL}
    w, kind, raw = scene.w, str(point["kind"]), ""
    if kind == "meter":
        values = [
            w.measured(value, name)
            for name, q in (point.get("quantities") or {}).items()
            if (value := q.get("value")) is not None
        ]
        level, known = ", ".join(values) or w("level.contact_unknown"), bool(values)
    else:
        level, known = _level(scene, kind, point.get("active")), point.get("active") is not None
        raw = _level(scene, kind, point.get("raw")) if kind == "contact" else ""
    faults = [w.get(f"point_fault.{fault}", str(fault)) for fault in point.get("faults") or []]
    if point.get("reason"):
        faults.append(scene.reason(str(point["reason"])).rstrip("."))
    return PointScene(
        id=id,
        name=scene.terminals.name(w, id),
        label=scene.terminals.labels.get(id, ""),
        kind=kind,
        kind_text=w.get(f"point.{kind}", kind),
        level=level,
        active=point.get("active") is True,
        raw=raw,
        since=scene.seen_since(point.get("since_ms")),
        changes=int(point.get("changes") or 0),
        faults="; ".join(faults),
        known=known,
    )


def _level(scene: Sentences, kind: str, level: bool | None) -> str:
    name = "unknown" if level is None else ("on" if level else "off")
    return scene.w(f"level.{kind if kind == 'relay' else 'contact'}_{name}")
