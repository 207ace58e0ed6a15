"""Generate a client from what a running gateway says of its API, and use it there.

``python -m tests.api.generated FOLDER``; the generator is in ``FOLDER/tools``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.process.parts_mqtt import free_port

ROOT = Path(__file__).parents[2]
START_WITHIN_S = 60.0


def answer(address: str, token: str = "") -> bytes:
    """What an address answers, asked again until the gateway is there."""
    until = time.monotonic() + START_WITHIN_S
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    while True:
        try:
            asked = urllib.request.Request(address, headers=headers)
            with urllib.request.urlopen(asked) as found:
                told: bytes = found.read()
                return told
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main(folder: Path) -> None:
    """Start the bench building, log in by token, and let the client do its work."""
    portier = [sys.executable, "-m", "gateway"]
    with tempfile.TemporaryDirectory() as name:
        state = ["--state", name]
        port = free_port()
        running = subprocess.Popen(
            [*portier, "run", "--config", "config/bench.yaml", *state, "--log", f"{name}/log"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            answer(f"{address}/health/ready")
            token = subprocess.run(
                [*portier, "token", "add", "client", "--role", "maintenance", *state],
                cwd=ROOT, check=True, capture_output=True, text=True,
            ).stdout.strip()  # fmt: skip
            (folder / "live.json").write_bytes(answer(f"{address}/api/openapi.json", token))
            tools, client = folder / "tools/bin", folder / "client"
            shutil.rmtree(client, ignore_errors=True)
            made = subprocess.run(
                [tools / "openapi-python-client", "generate", "--path", folder / "live.json",
                 "--output-path", client, "--meta", "none"],
                env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            assert "arning" not in made, made
            use = [str(one) for one in (tools / "python", ROOT / "tests/api/use_client.py", folder)]
            subprocess.run([*use, address], check=True, env={**os.environ, "PORTIER_TOKEN": token})
        finally:
            running.terminate()
            running.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
