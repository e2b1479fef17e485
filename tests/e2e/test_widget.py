"""A picture with a slider, in a real browser: pressing *forward* and moving the slider change what is seen and what is read out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_the_broadcast_picture_moves(open_notebook: Callable[[str], Any]) -> None:
    notebook = open_notebook("u01_tensors")
    notebook.run("import torch")
    shown = notebook.run("from coursekit.viz.broadcast import")

    strip = shown.locator(".jp-RenderedHTML img[alt]")
    strip.nth(2).wait_for(timeout=30_000)
    assert [f"step {k + 1} of 3" in strip.nth(k).get_attribute("alt") for k in range(strip.count())] == [True] * 3   # there without any widget

    widget = shown.locator(".widget-vbox")
    picture = widget.locator("img[alt]")
    picture.wait_for(timeout=30_000)
    assert "step 1 of 3" in picture.get_attribute("alt")
    widget.get_by_role("button", name="forward").click()
    widget.locator('img[alt*="step 2 of 3"]').wait_for(timeout=20_000)
    assert picture.count() == 1

    widget.get_by_role("slider").focus()
    notebook.page.keyboard.press("ArrowRight")
    widget.locator('img[alt*="step 3 of 3"]').wait_for(timeout=20_000)
    assert picture.get_attribute("alt").endswith("Result (5, 3, 4).")
    assert picture.evaluate("image => image.naturalWidth") > 300
    if screenshot := os.environ.get("COURSEKIT_SCREENSHOT"):
        widget.scroll_into_view_if_needed()
        notebook.page.screenshot(path=screenshot)

    widget.get_by_role("button", name="back").click()
    widget.locator('img[alt*="step 2 of 3"]').wait_for(timeout=20_000)
