"""Meters that are asked go on whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers import MeterReport, Quantity
from drivers.polling import Poller
from tests.drivers.driver_bench import Heard


def test_a_mistake_in_a_driver_costs_a_value_and_not_the_meter(heard: Heard) -> None:
    def readings() -> Iterator[Mapping[str, float]]:
        yield {"level_pct": 1.0}
        yield {}  # a driver that forgets its quantity
        while True:
            yield {"level_pct": 2.0}

    answers = readings()
    level = Quantity("level_pct", 0, 100)
    poller = Poller(lambda: next(answers), [level], 5, heard, name="m")
    poller.start()
    heard.wait(3)
    poller.close()
    assert heard[:3] == [
        MeterReport("level_pct", 1.0),
        MeterReport("level_pct", None, "its driver failed: KeyError: 'level_pct'"),
        MeterReport("level_pct", 2.0),
    ]
