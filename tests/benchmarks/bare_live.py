"""The floor of the live page: one frame, made once, written to every connection.

Prints when each frame was written and the processor time as JSON, after SECONDS of frames to
CLIENTS. Arguments: PORT CLIENTS PER_SECOND SECONDS."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

PAYLOAD = b'data: {"row":1,"kind":"contact_changed","subject":"load.c1","html":"%s"}\n\n' % (
    b"x" * 300
)


async def main(port: int, clients: int, per_second: float, seconds: float) -> None:
    writers: list[asyncio.StreamWriter] = []
    everybody = asyncio.Event()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await reader.readline():  # somebody looked whether there is a server
            return
        writers.append(writer)
        if len(writers) == clients:
            everybody.set()

    server = await asyncio.start_server(joined, "127.0.0.1", port)
    await everybody.wait()
    await asyncio.sleep(0.5)
    written: list[tuple[int, int]] = []
    cpu_s = time.process_time()
    for row in range(1, int(per_second * seconds) + 1):
        written.append((row, time.monotonic_ns()))
        frame = b"id: %d\nevent: fact\n" % row + PAYLOAD
        for writer in writers:
            writer.write(frame)
        await asyncio.sleep(1 / per_second)
    cpu_s = time.process_time() - cpu_s
    print(json.dumps({"commits": written, "share": cpu_s / seconds}), flush=True)
    for writer in writers:
        writer.close()
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
