"""A verdict as text and as HTML: the same words, safe, and readable without colour, styles or sight."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from coursekit.checks import render
from coursekit.checks.diagnose import Finding
from coursekit.checks.likeness import REFUSAL
from coursekit.checks.verdict import State, Verdict


def verdict(state: State, *texts: str, right: tuple[str, ...] = ()) -> Verdict:
    return Verdict("u01-sse-grad", "sse_grad", state, 0.0, tuple(Finding("known", text) for text in texts), right)


PASSED = verdict(State.PASSED, right=("grad",))
NOT_YET = verdict(State.NOT_YET, "`sse_grad` drops the factor 2.", "Line one\nline two", right=("b", REFUSAL))
NOT_STARTED = verdict(State.NOT_STARTED, "`sse_grad` is still the blank stub.")


def test_plain_text_is_complete() -> None:
    assert render.text(PASSED) == ("✔ Passed: u01-sse-grad\n  All public checks passed; grading uses fresh inputs.")
    assert render.text(NOT_YET) == (
        "✘ Not yet: u01-sse-grad\n"
        "  `sse_grad` drops the factor 2.\n"
        "  Line one\n"
        "  line two\n"
        "  Already right: `b`, the refusal of wrong input.\n"
        '  For a hint, run `hint("u01-sse-grad")`.'
    )
    assert render.text(NOT_STARTED) == "○ Not started: u01-sse-grad\n  `sse_grad` is still the blank stub."


class Words(HTMLParser):
    """The text of a page; fails at a tag that is not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.open, self.tags = "", list[str](), list[str]()
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("shown", [PASSED, NOT_YET, NOT_STARTED])
def test_html_says_the_same_words(shown: Verdict) -> None:
    said = " ".join(Words(render.html(shown)).text.split())
    assert said == " ".join(render.text(shown).replace("`", "").split())


@pytest.mark.parametrize("shown", [PASSED, NOT_YET, NOT_STARTED])
def test_html_speaks_to_everybody(shown: Verdict) -> None:
    page = render.html(shown)
    assert f'role="status" aria-label="{shown.state.value}: u01-sse-grad"' in page
    assert f'aria-hidden="true" style="color: {render._COLOUR[shown.state]};">{shown.state.symbol}<' in page
    colours = re.findall(r"[a-z-]*(?<!border-left)color: ([^;]*);", page)
    assert colours
    assert all(colour.startswith("var(--jp-") for colour in colours), "colours follow the theme, with a fallback"
    assert "background" not in page, "the theme's own background stays"


def test_symbols_and_words_differ_as_the_colours_do() -> None:
    for marks in ({state.symbol for state in State}, {state.value for state in State}, set(render._COLOUR.values())):
        assert len(marks) == 3


def test_html_is_escaped() -> None:
    evil = '<script>alert("x")</script> `<img src=x onerror=y>` & \'"'
    page = render.html(Verdict('u01-"><b>', "f", State.NOT_YET, 0.0, (Finding("raised", evil),), ("<i>",)))
    parsed = Words(page)
    assert set(parsed.tags) == {"section", "p", "span", "code"}
    assert '<script>alert("x")</script>' in parsed.text
    assert "<code>&lt;img src=x onerror=y&gt;</code>" in page


def test_a_lone_backtick_stays_text() -> None:
    assert "a ` b" in Words(render.html(verdict(State.NOT_YET, "a ` b"))).text


def test_feedback_after_grading_promises_no_hint() -> None:
    assert render.text(PASSED, graded=True) == "✔ Passed: u01-sse-grad\n  Correct on fresh inputs."
    assert "hint" not in render.text(NOT_YET, graded=True)
