"""A simulated world for the building: people, wires, weather and the machine the gateway runs on.

Pure like the core: no clock, no thread, no file; all chance comes from one seed. The world
knows what is true (the cord WAS pulled) and tells only what its terminals would tell.

``world`` is what is at the terminals: contacts, leaves and what sensors measure. A bench has it
whole, as a terminal strip that the simulated drivers are wired to (``app/simulated_world.py``).

The others live in virtual time (``agenda``): ``days`` the calendar that people live by ·
``weather`` what goes wrong, and how often · ``host`` the process, its disk and its power ·
``doors`` and ``rooms`` the wires and the people at them · ``staff`` who is told and who comes ·
``oracles`` what must never be and what must come · ``report`` what an owner wants to know ·
``life`` puts them together · ``habits`` and ``calm`` a year in which hardly anything goes wrong,
for the demo.
"""
