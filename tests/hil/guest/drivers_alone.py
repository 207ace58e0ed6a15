"""The drivers alone, on simulated lines of a real kernel."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

from bench import bouncing_press, case, cpu_s, drivers, main, point, spread_ms, wake_ups
from rigsim import SimChip, Trace

BUTTON = point("a.contact", "gpio_contact", pin="GPIO17")
RELAY = point("a.relay", "gpio_relay", pin="GPIO27")
LOW_RELAY = point("a.relay", "gpio_relay", pin="GPIO27", active="low")


@case
def presses():
    random.seed(4711)
    with SimChip() as chip:
        chip.release(17)
        service = drivers(BUTTON, RELAY)
        with Trace(chip) as trace:
            windows = []
            for _ in range(500):
                windows.append(bouncing_press(chip, 17, 0.02, random.choice((2, 4, 8))))
                time.sleep(0.01)
            time.sleep(0.3)
            on = [e[0] for e in trace.events(27) if e[2] == "value" and e[3] == 1]
        reports = service.stop()
        edges = [r for r in reports if r[2] is not None]
        seen = switched = 0
        to_relay, to_stamp = [], []
        for begin, end in windows:
            first = next((r for r in edges if begin <= r[2] <= end and r[1]), None)
            relay = next((t for t in on if begin <= t <= end + 5_000_000), None)
            seen += first is not None
            switched += relay is not None
            if first:
                to_stamp.append(first[2] - begin)
            if relay:
                to_relay.append(relay - begin)
        return {
            "presses": len(windows),
            "seen": seen,
            "switched": switched,
            "edges": len(edges),
            "in_order": all(a[2] <= b[2] for a, b in pairwise(edges)),
            "last_active": edges[-1][1],
            "press_to_relay_ms": spread_ms(to_relay),
            "press_to_stamp_ms": spread_ms(to_stamp),
        }


@case
def active_low_relay():
    """Started, switched once, stopped, started again: on exactly once."""
    with SimChip() as chip:
        chip.high(27)  # the relay board's own resistor: off
        with Trace(chip) as trace:
            first = drivers(BUTTON, LOW_RELAY)
            chip.low(17)
            switched = chip.wait(27, 0) is not None
            chip.release(17)
            chip.wait(27, 1)
            first.stop()
            second = drivers(BUTTON, LOW_RELAY)
            second.stop()
            time.sleep(0.1)
            levels = [e[3] for e in trace.events(27) if e[2] == "value"]
        return {"switched": switched, "times_on": levels.count(0), "level_at_end": chip.value(27)}


@case
def held_at_start():
    """A button that is held, and a normally closed cord whose wire is cut."""
    with SimChip() as chip:
        chip.low(17)
        chip.release(22)
        service = drivers(
            BUTTON,
            point("cord", "gpio_contact", pin="GPIO22", wiring="normally_closed"),
            point("quiet", "gpio_contact", pin="GPIO23"),
        )
        return {"first": {r[0]: [r[1], r[2]] for r in service.stop()}}


@case
def chips():
    """The header's chip under each number that a kernel has given it."""
    results = {}

    def works(chip):
        service = drivers(BUTTON, RELAY)
        chip.low(17)
        switched = chip.wait(27, 1) is not None
        service.stop()
        chip.release(17)
        return switched

    for number in (0, 4, 11):
        before = [SimChip(label=f"other-{i}", lines=4, names={}) for i in range(number)]
        for other in before:
            other.names = {}
            other.__enter__()
        with SimChip(board="pi5" if number else "pi4") as chip:
            results[str(chip.number)] = works(chip)
        for other in before:
            other.__exit__()
    return {"works": results}


@case
def other_chip():
    """A chip that is not the header's, by label, name and path; a line by name and by number."""
    results = {}
    with SimChip(), SimChip(label="usb-expander", lines=8, names={3: "BELL"}) as usb:
        for chip in ("usb-expander", usb.chip_name, usb.path, str(usb.number)):
            for pin in ("BELL", "3"):
                service = drivers(point("a.contact", "gpio_contact", pin=pin, chip=chip))
                usb.low(3)
                time.sleep(0.05)
                reports = service.stop()
                usb.release(3)
                results[f"{chip} {pin}"] = [r[1] for r in reports]
    return {"reports": results}


@case
def idle():
    with SimChip() as chip:
        service = drivers(
            RELAY, *(point(f"c{n}", "gpio_contact", pin=f"GPIO{n}") for n in range(2, 18))
        )
        time.sleep(1)
        pid = service.process.pid
        before, cpu = wake_ups(pid), cpu_s(pid)
        time.sleep(10)
        after, cpu_after = wake_ups(pid), cpu_s(pid)
        chip.low(17)
        time.sleep(0.2)
        reports = service.stop()
        return {
            "wake_ups_per_s": (after - before) / 10,
            "cpu_s": round(cpu_after - cpu, 3),
            "hears_afterwards": any(r[0] == "c17" and r[1] for r in reports),
            "ready_s": round(service.ready_s, 2),
        }


@case
def lost_edges():
    """More edges than the kernel keeps, while the service does not run."""
    with SimChip() as chip:
        service = drivers(BUTTON)
        time.sleep(0.2)
        service.process.send_signal(signal.SIGSTOP)
        for _ in range(1500):
            chip.low(17)
            chip.release(17)
        chip.low(17)
        service.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        reports = service.stop()
        told = [r for r in reports if r[4]]
        return {"reports": len(reports), "told": told, "last_active": reports[-1][1]}


@case
def kill_with_relay_on():
    """kill -9 with a relay on, then outputs off. Both polarities."""
    results = {}
    for name, relay, on in (("high", RELAY, 1), ("low", LOW_RELAY, 0)):
        with SimChip() as chip:
            (chip.low if on else chip.high)(27)  # the relay board's own resistor: off
            service = drivers(relay, RELAYS_ON="1")
            before = chip.value(27)
            service.kill()
            time.sleep(0.2)
            after_kill = chip.value(27)
            code = (
                "import drivers, json; from drivers.gpio_relay import Settings\n"
                f"s = Settings(pin='GPIO27', active='{name}')\n"
                "bad = Settings(pin='GPIO99')\n"
                "r = drivers.outputs_off({'x': ('gpio_relay', bad), 'a': ('gpio_relay', s)})\n"
                "print(json.dumps({k: v and str(v) for k, v in r.items()}))"
            )
            began_ns = time.monotonic_ns()
            run = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=False
            )
            took_s = (time.monotonic_ns() - began_ns) / 1e9
            time.sleep(0.1)
            results[name] = {
                "on_before": before == on,
                "on_after_kill": after_kill == on,
                "on_after_outputs_off": chip.value(27) == on,
                "outputs_off_s": round(took_s, 2),
                "told": json.loads(run.stdout or "null") or run.stderr,
            }
    return {"relays": results}


@case
def faults():
    """Each fault of the world in words."""
    told = {}

    def fault(code):
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        return (run.stderr.strip().splitlines() or [run.stdout])[-1]

    opens = (
        "{}from drivers.gpio_relay import *\nopen(Settings(pin='{}', chip='{}'), print, name='x')"
    )
    told["no chip"] = fault(opens.format("", "GPIO27", ""))
    with SimChip():
        told["other chip"] = fault(opens.format("", "GPIO27", "expander"))
        told["no line"] = fault(opens.format("", "GPIO99", ""))
        service = drivers(RELAY)
        told["in use"] = fault(opens.format("", "GPIO27", ""))
        service.stop()
        drop = "import os; os.setgid(65534); os.setuid(65534)\n"
        told["no permission"] = fault(opens.format(drop, "GPIO27", ""))
    return {"told": told}


@case
def unplugged():
    """A chip that goes away while a relay and a contact are open."""
    code = (
        "import sys, drivers\n"
        "from drivers import gpio_relay, gpio_contact\n"
        "def emit(r): print('report', r, flush=True)\n"
        "c = gpio_contact.open(gpio_contact.Settings(pin='GPIO17'), emit, name='c')\n"
        "r = gpio_relay.open(gpio_relay.Settings(pin='GPIO27'), print, name='r')\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    try: r.drive(True); print('switched', flush=True)\n"
        "    except drivers.DriverFault as f: print('fault', f, flush=True)\n"
        "r.close() if line.strip() == 'again' else None; c.close(); print('closed', flush=True)\n"
    )
    with SimChip() as chip:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while process.stdout.readline() != "ready\n":
            pass
    process.stdin.write("gone\n")
    process.stdin.flush()
    gone = process.stdout.readline().strip()
    with SimChip() as chip:
        process.stdin.write("again\n")
        process.stdin.flush()
        again, level = process.stdout.readline().strip(), chip.value(27)
        rest, _ = process.communicate(timeout=10)
        at_end = chip.value(27)
    return {
        "gone": gone,
        "again": [again, level],
        "rest": rest.split("\n"),
        "level_at_end": at_end,
        "exit": process.returncode,
    }


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
