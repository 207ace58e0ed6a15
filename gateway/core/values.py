"""The values that the core is made of: frozen dataclasses that are made quickly.

A step of the core is mostly making values, and a frozen dataclass of the standard library is
slow at that: it calls ``object.__setattr__`` for every field. Here all fields are set at once,
as the ``__dict__`` (so there are no slots); ``machine.replace`` copies that.

There are a hundred of them, and they are most of what ``control`` imports before the first
press after a power cut is served: a class costs Python 3.11 a millisecond, a quarter of it for
a ``__repr__`` that only a failing test asks for. All of them share one here, with the same text.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported from here
else:

    def dataclass(*, frozen):
        """As :func:`dataclasses.dataclass`. Only what is frozen is a value."""
        if not frozen:
            raise TypeError("a value of the core is frozen")

        def make(cls):
            cls.__repr__ = _shown
            made = dataclasses.dataclass(init=False, repr=False, frozen=True)(cls)
            made.__init__ = _init(dataclasses.fields(made))
            return made

        return make


def _init(fields: tuple[dataclasses.Field[object], ...]) -> object:
    """The ``__init__`` that takes these fields, as a dataclass compiles it, but for its body."""
    unset = dataclasses.MISSING
    known: dict[str, object] = {"unset": unset, "set_": object.__setattr__}
    taken: list[str] = ["self"]
    named: list[str] = []
    values: list[str] = []
    for field in fields:
        name, value = field.name, field.name
        if field.default_factory is not unset:
            known[f"new_{name}"] = field.default_factory
            name, value = f"{name}=unset", f"new_{name}() if {name} is unset else {name}"
        elif field.default is not unset:
            known[f"default_{name}"] = field.default
            name = f"{name}=default_{name}"
        (named if field.kw_only else taken).append(name)
        values.append(f"{field.name!r}: {value}")
    if named:
        taken += ["*", *named]
    made = f"def __init__({', '.join(taken)}): set_(self, '__dict__', {{{', '.join(values)}}})"
    exec(made, known)  # noqa: S102 - of names in our own classes, as dataclasses does it
    return known["__init__"]


def _shown(value: object) -> str:
    names = [field.name for field in dataclasses.fields(value)]  # type: ignore[arg-type]  # it is one
    shown = ", ".join([f"{name}={getattr(value, name)!r}" for name in names])
    return f"{type(value).__qualname__}({shown})"
