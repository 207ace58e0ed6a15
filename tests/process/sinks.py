"""Where messages arrive in tests: a webhook and a mail server on loopback, as real as need be."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


class Webhook(ThreadingHTTPServer):
    """Keeps what is posted, counts what is fetched; answers with ``status``."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Http)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Http(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook = cast("Webhook", self.server)
        hook.posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._end(hook)

    def do_GET(self) -> None:
        hook = cast("Webhook", self.server)
        hook.fetched.append(self.path)
        self._end(hook)

    def _end(self, hook: Webhook) -> None:
        self.send_response(hook.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Mailbox(socketserver.ThreadingTCPServer):
    """The least of a mail server (RFC 5321) that takes mail; keeps what it has taken."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        super().__init__(("127.0.0.1", port), _Smtp)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def texts(self) -> list[str]:
        """What each mail says, in plain words."""
        parts = (mail.get_body(("plain", "html")) for mail in self.mails)
        return [part.get_content() if part is not None else "" for part in parts]


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 mailbox")
        while line := self.rfile.readline():
            match line.split()[0].upper() if line.split() else b"":
                case b"DATA":
                    self._say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    mail = message_from_bytes(b"".join(lines), policy=policy.default)
                    cast("Mailbox", self.server).mails.append(mail)
                    self._say("250 taken")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 yes")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """The server, in a thread, until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
