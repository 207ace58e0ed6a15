"""The configuration: read once, judged whole, and turned into numbers for the machines.

``load.load`` reads and checks, ``plan.plan`` makes the building's plan, ``schema.schema``
tells editors what may be written, ``cache`` keeps the plan for a fast start. Nothing is
imported here: ``control`` starts from the cache without pydantic and YAML.
"""
