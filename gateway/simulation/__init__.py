"""A simulated world for the building: people, wires, weather and the machine the gateway runs on.

Pure like the core: no clock, no thread, no file; all chance comes from one seed. The world
knows what is true (the cord WAS pulled) and tells only what its terminals would tell.

``agenda`` is virtual time · ``days`` the calendar that people live by · ``weather`` what goes
wrong, and how often · ``host`` the process, its disk and its power · ``doors``, ``rooms`` and
``house`` the wires and the people at them · ``staff`` who is told and who comes · ``oracles``
what must never be and what must come · ``report`` what an owner wants to know · ``life`` puts
them together · ``habits`` and ``calm`` a year in which hardly anything goes wrong, for the demo.
"""
