"""Small archives of notMNIST's form, and a local HTTP server that can misbehave."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from coursekit.data.letters import LETTERS

Entry = tuple[str, bytes | tarfile.TarInfo]


def picture(grey: int, side: int = 28) -> bytes:
    """A PNG of one grey with a bright corner."""
    image = Image.new("L", (side, side), grey)
    image.putpixel((0, 0), 255)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pack(entries: list[Entry]) -> bytes:
    """A .tar.gz of files and of ready-made members."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in entries:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


@pytest.fixture(scope="session")
def small() -> bytes:
    """Two good pictures a letter; the two known empty files; one that nobody knows to be broken."""
    entries: list[Entry] = [
        (f"notMNIST_small/{letter}/{name}.png", picture(20 * label + add))
        for label, letter in enumerate(LETTERS)
        for name, add in (("Zm9v=", 3), ("YmFy", 5))
    ]
    entries += [
        ("notMNIST_small/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png", b""),
        ("notMNIST_small/F/Q3Jvc3NvdmVyIEJvbGRPYmxpcXVlLnR0Zg==.png", b""),
        ("notMNIST_small/B/broken.png", picture(9)[:40]),
    ]
    return pack(entries)


@dataclass
class Server:
    """A server of one file. plan: per request, in order, what it does; after that it behaves."""

    content: bytes
    url: str = ""
    ranges: bool = True
    version: str = '"v1"'
    plan: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)  # the Range header of each request

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        act = self.plan.pop(0) if self.plan else "behave"
        if act.isdigit():
            handler.send_error(int(act))
            return
        start = self.start(handler, asked, act)
        if start >= len(self.content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            shown = start - 1 if act == "shifted" else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(self.content) - 1}/{len(self.content)}")
        if self.version:
            handler.send_header("ETag", self.version)
        if act != "endless":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if act == "cut" else body * 40 if act == "endless" else body)

    def start(self, handler: BaseHTTPRequestHandler, asked: str | None, act: str) -> int:
        """Where the answer starts: as asked, unless ranges are unknown here or the file has changed since."""
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        known = handler.headers.get("If-Range") in (None, self.version)
        return int(match[1]) if match and self.ranges and known and act != "whole" else 0


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server for some bytes; it ends with the test."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(content: bytes, **options: Any) -> Server:
        server = Server(content, **options)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client hangs up on an endless answer
                    server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.append((http, thread))
        server.url = f"http://127.0.0.1:{http.server_port}/notMNIST_small.tar.gz"
        return server

    yield start
    for http, thread in running:
        http.shutdown()
        http.server_close()
        thread.join()
