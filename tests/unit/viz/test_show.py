"""Showing pictures: alt text always, the static strip always, a slider that redraws, silence outside notebooks."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import IPython.display
import pytest

import coursekit.viz.show as module
from coursekit.viz.show import bundle, png, show, step_through, stepper
from coursekit.viz.style import Picture


def frame(k: int) -> Picture:
    picture = Picture(f'frame {k} <b>&"quoted"', size=(1, 1))
    picture.canvas_without_frame(f"Frame {k}")
    return picture


def alt_of(page: str) -> str:
    match = re.search(r'<img alt="([^"]*)"', page)
    assert match is not None
    return unescape(match[1])


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A pretended notebook: what is displayed there."""
    seen: list[Any] = []
    monkeypatch.setattr(module, "_in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", lambda item, raw=False: seen.append(item))
    return seen


def test_a_bundle_says_everything_three_times() -> None:
    data = bundle(frame(3))
    assert set(data) == {"text/html", "image/png", "text/plain"}
    assert data["text/plain"] == 'frame 3 <b>&"quoted"'
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["image/png"] in data["text/html"]


def test_alt_text_is_escaped() -> None:
    page = bundle(frame(3))["text/html"]
    assert "<b>" not in page
    assert page.count("<") == 1
    assert alt_of(page) == 'frame 3 <b>&"quoted"'


def test_the_image_is_the_picture_in_its_resolution() -> None:
    data = png(frame(0), dpi=50)
    assert int.from_bytes(data[16:20], "big") == 50
    assert int.from_bytes(data[20:24], "big") == 50


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_alt_text_is_refused(alt: str, displayed: list[Any]) -> None:
    with pytest.raises(ValueError, match="a picture needs an alternative text"):
        show(Picture(alt))
    assert displayed == []


def test_outside_a_notebook_the_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show(frame(1))
    assert capsys.readouterr() == ('frame 1 <b>&"quoted"\n', "")


def test_in_a_notebook_it_is_displayed_and_nothing_is_printed(displayed: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    show(frame(1))
    [data] = displayed
    assert data["text/plain"].startswith("frame 1")
    assert capsys.readouterr() == ("", "")


def test_outside_a_notebook_stepping_is_its_static_strip(capsys: pytest.CaptureFixture[str]) -> None:
    step_through(frame, 3)
    assert [line[:7] for line in capsys.readouterr().out.splitlines()] == ["frame 0", "frame 1", "frame 2"]


def test_in_a_notebook_the_strip_is_there_beside_the_slider(displayed: list[Any]) -> None:
    step_through(frame, 5, strip=[0, 4])
    assert type(displayed[0]).__name__ == "VBox"
    assert [data["text/plain"][:7] for data in displayed[1:]] == ["frame 0", "frame 4"]


def test_while_grading_only_the_strip_is_made(displayed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSEKIT_SANDBOX", "1")
    step_through(frame, 2)
    assert [data["text/plain"][:7] for data in displayed] == ["frame 0", "frame 1"]


def controls(box: Any) -> tuple[Any, Any, Any, Callable[[], str]]:
    row, view = box.children
    back, slider, forward = row.children
    return back, slider, forward, lambda: alt_of(view.value)[:7]


def test_the_slider_redraws() -> None:
    _, slider, _, seen = controls(stepper(frame, 4, "step"))
    assert seen() == "frame 0"
    slider.value = 2
    assert seen() == "frame 2"
    assert (slider.min, slider.max, slider.description) == (0, 3, "step")


def test_the_buttons_step_and_stop_at_the_ends() -> None:
    back, slider, forward, seen = controls(stepper(frame, 3, "row"))
    assert (back.description, forward.description) == ("back", "forward")
    assert (back.tooltip, forward.tooltip) == ("previous row", "next row")
    back.click()
    assert seen() == "frame 0"
    for _ in range(5):
        forward.click()
    assert (slider.value, seen()) == (2, "frame 2")
    back.click()
    assert seen() == "frame 1"


def test_frames_are_drawn_when_they_are_looked_at() -> None:
    drawn: list[int] = []

    def counted(k: int) -> Picture:
        drawn.append(k)
        return frame(k)

    _, slider, _, _ = controls(stepper(counted, 100))
    assert drawn == [0]
    slider.value = 50
    assert drawn == [0, 50]
