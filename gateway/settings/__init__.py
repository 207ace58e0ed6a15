"""The configuration: read once, judged whole, and turned into numbers for the machines.

``load.load`` reads and checks, ``plan.building.plan`` makes the building's plan, ``schema.schema``
tells editors what may be written, ``plan.cache`` saves the plan for a fast start. Nothing is
imported here: ``control`` starts from the cache without pydantic and YAML.
"""
