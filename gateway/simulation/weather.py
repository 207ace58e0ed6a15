"""What goes wrong in this life, and how often: drawn from the seed before anything happens."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

LATER = {
    "jams": 0.4,
    "prolonged": 0.3,
    "reloads": 1.0,
    "held_at_start": 0.5,
    "bounces": 6.0,
    "clock_restarts": 0.4,
    "overrides": 0.5,
}
"""The kinds that were added later -> their highest rate."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Rates are times a day; shares are of one. Some lives have much of one thing and nothing
    of another, so that each is met alone, too."""

    by_hand: float
    """Wind or a hand pushes a leaf open."""
    wedged: float
    """Somebody puts a wedge under an open leaf."""
    operator_dead: float
    """An operator does not move for a while."""
    wire_cut: float
    """A contact cannot be read for a while."""
    stuck: float
    """A finger, or a case of bottles, stays on a button."""
    chatter: float
    """A loose wire presses a button again and again."""
    relay_broken: float
    """A relay cannot be switched for a while."""
    fire: float
    clock_step: float
    """The wall clock jumps by up to an hour, and comes back."""
    clock_lost: float
    """Nobody vouches for the wall clock for a while."""
    modes: float
    """Staff choose another mode for some time."""
    restarts: float
    """The process is killed and started again."""
    power_cuts: float
    blocked: float
    """The loop stands still for up to 0.4 s."""
    disk_late: float
    """Share of starts at which the disk can only be read later."""
    meter_silent: float
    leaks: float
    cord_cut: float
    """The wire of a cord breaks: it calls until somebody has mended it."""
    outages: float
    """Nothing can be sent for an hour or so."""
    message_fails: float
    """Share of messages that fail by themselves."""
    pranks: float
    """Somebody asks from afar for what nobody may have."""
    clock_years: float
    """The wall clock is trusted and years wrong, and comes back."""
    blank_clock: float
    """Share of power cuts after which nobody vouches for the wall clock for hours."""
    jams: float = 0.0
    """An operator that reports nothing stays closed, or open, for some hours."""
    prolonged: float = 0.0
    """Somebody prolongs the test mode of a room again and again; people need help meanwhile."""
    reloads: float = 0.0
    """The configuration is read again: the same, a changed one, or one with other rooms."""
    held_at_start: float = 0.0
    """A button, key switch or reader is held from before a restart until after it."""
    bounces: float = 0.0
    """A contact bounces for some milliseconds when it is pressed or pulled."""
    clock_restarts: float = 0.0
    """The process or the machine restarts while the wall clock is wrong or not trusted."""
    overrides: float = 0.0
    """Staff choose a mode for some hours, and there is a restart meanwhile."""

    @classmethod
    def drawn(cls, seed: int) -> Weather:
        """The weather of this seed. The later kinds have a random stream of their own, so that
        without them a seed is the life that it was before."""
        chance = random.Random(f"{seed}/weather")
        most = {
            "by_hand": 4.0,
            "wedged": 1.0,
            "operator_dead": 0.3,
            "wire_cut": 0.6,
            "stuck": 0.6,
            "chatter": 0.3,
            "relay_broken": 0.3,
            "fire": 0.1,
            "clock_step": 0.3,
            "clock_lost": 0.3,
            "modes": 1.0,
            "restarts": 0.6,
            "power_cuts": 0.3,
            "blocked": 6.0,
            "disk_late": 0.5,
            "meter_silent": 0.5,
            "leaks": 0.2,
            "cord_cut": 0.1,
            "outages": 0.3,
            "message_fails": 0.3,
            "pranks": 3.0,
            "clock_years": 0.2,
            "blank_clock": 0.8,
        }
        drawn = {name: rate * chance.random() ** 2 for name, rate in most.items()}
        later = random.Random(f"{seed}/weather/later")
        drawn |= {name: rate * later.random() ** 2 for name, rate in LATER.items()}
        return cls(**drawn)

    @classmethod
    def fine(cls) -> Weather:
        """Nothing goes wrong."""
        return cls(**{field.name: 0.0 for field in fields(cls)})
