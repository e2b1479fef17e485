"""JupyterLab as a student gets it, in a real browser: for the tests marked `browser`."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

QUIET = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """`coursekit lab` on a fresh working folder; its address, with `{}` for a notebook's name."""
    port, token = free_port(), secrets.token_hex(8)
    with (tmp_path / "lab.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen([sys.executable, "-m", "coursekit", "lab", "--folder", str(tmp_path / "work"), "--no-browser", "--port", str(port)],
                                  env={**os.environ, "JUPYTER_TOKEN": token, "HOME": str(tmp_path)}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 90
        while not answers(f"http://127.0.0.1:{port}/api"):
            assert server.poll() is None, (tmp_path / "lab.log").read_text("utf-8")
            assert time.monotonic() < deadline, "JupyterLab did not answer within 90 s"
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(20)


class Notebook:
    """The few gestures that the test needs on an open notebook."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)

    def cell(self, text: str) -> Any:
        found = self.page.locator(".jp-Notebook .jp-CodeCell", has=self.page.locator(".jp-InputArea", has_text=text)).first
        found.scroll_into_view_if_needed()
        return found

    def run(self, text: str) -> Any:
        """Run the cell that holds a text, and wait until it has a new number."""
        cell = self.cell(text)
        cell.locator(".cm-content").click()
        before = cell.locator(".jp-InputPrompt").first.inner_text()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function("([cell, before]) => { const now = cell.querySelector('.jp-InputPrompt').innerText;"
                                    " return now !== before && !now.includes('*') }", arg=[cell.element_handle(), before], timeout=60_000)
        return cell

    def write(self, text: str, source: str) -> None:
        """Replace a cell's source, as by pasting."""
        self.cell(text).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Escape")

    def add_below(self, text: str, source: str) -> None:
        self.cell(text).locator(".cm-content").click()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("b")
        self.page.keyboard.press("Enter")
        self.page.keyboard.insert_text(source)


@pytest.fixture
def open_notebook(lab: str, chromium: str) -> Iterator[Callable[[str], Notebook]]:
    """Opens a unit's notebook in the browser, once its kernel is ready."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as tools:
        flags = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else QUIET
        browser = tools.chromium.launch(executable_path=chromium, args=flags)

        def visit(unit: str) -> Notebook:
            page = browser.new_page(viewport={"width": 1200, "height": 800})
            page.goto(lab.format(unit))
            return Notebook(page)

        yield visit
        browser.close()
