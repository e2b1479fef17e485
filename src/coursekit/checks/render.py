"""Show a verdict: a plain text that is complete by itself, and HTML that says the same with JupyterLab's colours."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from coursekit.checks.likeness import REFUSAL
from coursekit.checks.verdict import State, Verdict

if TYPE_CHECKING:
    from jinja2 import Template

AFTER_PASS = "All public checks passed; grading uses fresh inputs."
AFTER_GRADE = "Correct on fresh inputs."

# Colours come from JupyterLab's theme, so they follow light and dark; without styles the words and symbols remain.
_COLOUR = {
    State.PASSED: "var(--jp-success-color1, #2e7d32)",
    State.NOT_YET: "var(--jp-error-color1, #c62828)",
    State.NOT_STARTED: "var(--jp-ui-font-color2, #616161)",
}

_TEMPLATE = """\
<section role="status" aria-label="{{ v.state.value }}: {{ v.exercise }}" style="border-left: 4px solid {{ colour }}; padding: 4px 12px; \
color: var(--jp-content-font-color1, inherit);">
<p style="margin: 0; font-weight: 600;"><span aria-hidden="true" style="color: {{ colour }};">{{ v.state.symbol }}</span> \
<span style="color: {{ colour }};">{{ v.state.value }}</span>: {{ v.exercise }}</p>
{% for line in lines %}<p style="margin: 4px 0 0 0; white-space: pre-wrap;">\
{% for code, part in line %}{% if code %}<code>{{ part }}</code>{% else %}{{ part }}{% endif %}\
{% endfor %}</p>
{% endfor %}</section>"""


def lines(verdict: Verdict, graded: bool = False) -> list[str]:
    """The sentences below the headline. graded: this is feedback, not a check in a notebook."""
    said = [finding.text for finding in verdict.findings]
    if verdict.state is State.PASSED:
        said.append(AFTER_GRADE if graded else AFTER_PASS)
    elif verdict.state is State.NOT_YET:
        if verdict.right:
            said.append(
                "Already right: "
                + ", ".join("the refusal of wrong input" if name == REFUSAL else f"`{name}`" for name in verdict.right)
                + "."
            )
        if not graded:
            said.append(f'For a hint, run `hint("{verdict.exercise}")`.')
    return said


def text(verdict: Verdict, graded: bool = False) -> str:
    """The whole verdict as plain text."""
    return "\n".join([verdict.headline, *("  " + line.replace("\n", "\n  ") for line in lines(verdict, graded))])


def html(verdict: Verdict, graded: bool = False) -> str:
    """The whole verdict as HTML; everything that is not ours is escaped."""
    return _template().render(
        v=verdict, colour=_COLOUR[verdict.state], lines=[_parts(line) for line in lines(verdict, graded)]
    )


@functools.cache
def _template() -> Template:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_TEMPLATE)


def _parts(line: str) -> list[tuple[bool, str]]:
    """Cut a sentence at its backticks: (is it code, text)."""
    return [(bool(index % 2), part) for index, part in enumerate(re.split(r"`([^`]*)`", line)) if part]
