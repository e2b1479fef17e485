"""`coursekit new unit|exercise`: write the parts of a unit with its blanks marked, and never touch what is there.

Each line that an author still has to write holds FILL IN; `coursekit build --check` lists these lines and no other.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from coursekit.build.key_folder import key_file
from coursekit.build.verify import HINTS, VARIANTS, WRONG_ANSWERS
from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError

_UNIT_TOML = """
[[unit]]
name = "{name}"
title = {title}
hours = 1  # FILL IN: the hours that a student needs; then take this comment away
points = 0
"""

_UNIT_SOURCE = """# %% [markdown]
# # {title}
#
# FILL IN: what the student will be able to do, and three recall questions.

# %% tags=["parameters"]
seed = 0
device = "cpu"
fast = True

# %% tags=["setup"]
import torch

from coursekit.checks import check, expect_error, hint, progress
"""

_SHARED = '''"""What the keys of {short} share. For instructors."""
'''

_EXERCISE_TOML = """
[[unit.exercise]]
id = "{id}"
kind = "{kind}"
points = 1
difficulty = 3  # FILL IN: 1 to 5; then take this comment away
importance = 3  # FILL IN: 1 to 5; then take this comment away
minutes = 10  # FILL IN: the minutes that it takes; then take this comment away
why = "FILL IN: why it matters, in one sentence"
"""

_EXERCISE_SOURCE = '''
# %% [markdown]
# ## FILL IN: a title
#
# FILL IN: what to do, and what to watch.
#
# {{exercise {id}}}

# %%
def {function}(x):
    """FILL IN: one sentence.

    Args: FILL IN: shape and dtype of x.
    Returns: FILL IN: shape and dtype.
    """
    ### BEGIN SOLUTION
    ...  # FILL IN: the answer
{shows}    ### END SOLUTION

# %%
@check("{id}")
def observe(x):
    return {{"result": {function}(x), "x_after": x}}  # FILL IN: all that it gives or changes; drop this comment
'''

_SHOWS = """    ### RELEASE SHOWS
    # ...  # FILL IN: the broken lines, each behind "# "
"""

_KEY_HEAD = '''"""The key of {id}."""

import torch

from coursekit.course.authoring import Key

{function}_key = Key(
    "{id}",
    hints=(
        "FILL IN: a question",
        "FILL IN: a pointer",
        "FILL IN: a worked near-example",
    ),
    guards=("x_after",),
)


@{function}_key.inputs
def _(g, case):
    return {{"x": torch.randn(3, 4 + case, generator=g)}}  # FILL IN: small, not square; drop this comment
'''

_KEY_WRONG = """

@{function}_key.wrong("FILL IN: `{{function}}` ...: name the mistake, and say what to look at next")
def {function}_wrong_{number}(x):
    return ...  # FILL IN: a wrong answer that learners give
"""

_KEY_VARIANT = """

@{function}_key.variant
def {function}_variant_{number}(x):
    return ...  # FILL IN: a right answer, written differently
"""


def new_unit(name: str, title: str) -> int:
    """Scaffold a unit: its part of course.toml, its source and the folder of its key.

    Raises: CourseError: if the name is not like u02_autograd, or something of that name is there already.
    """
    where = course()
    if not catalog.UNIT_NAME.fullmatch(name):
        raise CourseError(
            f"A unit cannot be named `{name}`.", "Name it like u02_autograd: u, two digits, _ and lower-case words."
        )
    title = " ".join(title.split())
    if not title:
        raise CourseError(
            f"The unit `{name}` needs a title.", f'For example: coursekit new unit {name} "Autograd from scratch"'
        )
    for unit in catalog.load(where.catalog).units:
        if unit.short == name[:3]:
            raise CourseError(
                f"There is a unit {unit.short} already: `{unit.name}`.",
                "Choose a number that is free; units are never renumbered.",
            )
    source, folder = where.solutions / f"{name}.py", where.autograder / name
    for path in (source, folder):
        if path.exists():
            raise CourseError(
                f"{_short(where, path)} is there already.",
                "Choose another name, or list the unit in course.toml by hand.",
            )
    text = _read(where.catalog)
    quoted = '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
    _save(
        where,
        {
            source: _UNIT_SOURCE.format(title=title),
            folder / "_shared.py": _SHARED.format(short=name[:3]),
            where.catalog: _ended(text) + _UNIT_TOML.format(name=name, title=quoted),
        },
    )
    print(f"Next: coursekit new exercise {name[:3]} {name[:3]}-my-exercise")
    return 0


def new_exercise(unit: str, exercise_id: str, kind: str = "exercise") -> int:
    """Scaffold an exercise at the end of a unit. kind: "exercise" or "hunt".

    Raises: CourseError: if the unit is unknown, or the id is bad or taken.
    """
    where = course()
    if kind not in ("exercise", "hunt"):
        raise CourseError(f"There is no kind of exercise `{kind}`.", "Kinds are exercise and hunt.")
    known = catalog.load(where.catalog)
    chosen = known.unit(unit)
    if not catalog.EXERCISE_ID.fullmatch(exercise_id) or exercise_id[:3] != chosen.short:
        raise CourseError(
            f"An exercise of `{chosen.name}` cannot have the id `{exercise_id}`.",
            f"Name it {chosen.short}- and lower-case words joined by hyphens, such as {chosen.short}-my-relu.",
        )
    source, key = where.solutions / f"{chosen.name}.py", where.autograder / chosen.name / key_file(exercise_id)
    texts = {path: _read(path) for path in (source, where.catalog)}
    function = _function(exercise_id)
    for path, text in texts.items():
        if re.search(rf"""["']{re.escape(exercise_id)}["']|\{{exercise {re.escape(exercise_id)}\}}""", text):
            raise CourseError(
                f"`{exercise_id}` stands in {_short(where, path)} already.", "Choose another id; ids are never shared."
            )
    if function in _defined(texts[source]):
        raise CourseError(
            f"{_short(where, source)} defines `{function}` already.",
            "Choose another id; the function is named after it.",
        )
    if key.exists():
        raise CourseError(
            f"{_short(where, key)} is there already.", "Choose another id; the key's file is named after it."
        )
    values = {"id": exercise_id, "kind": kind, "function": function, "shows": _SHOWS if kind == "hunt" else ""}
    wrong = "".join(_KEY_WRONG.format(**values, number=number) for number in range(1, WRONG_ANSWERS + 1))
    right = "".join(_KEY_VARIANT.format(**values, number=number) for number in range(1, VARIANTS + 1))
    _save(
        where,
        {
            source: _ended(texts[source]) + _EXERCISE_SOURCE.format(**values),
            key: _KEY_HEAD.format(**values) + wrong + right,
            where.catalog: _listed(texts[where.catalog], chosen, _EXERCISE_TOML.format(**values)),
        },
    )
    print(
        "Next: fill in each line that says FILL IN "
        f"({HINTS} hints, {WRONG_ANSWERS} wrong answers, {VARIANTS} variants); "
        "`coursekit build --check` lists those that are left."
    )
    return 0


def _short(where: Course, path: Path) -> str:
    return path.relative_to(where.root).as_posix()


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # not read_text: line ends stay as they are
    except OSError as error:
        raise CourseError(
            f"{path.parent.name}/{path.name} cannot be read: {error.strerror}.",
            "Scaffold the unit first: coursekit new unit.",
        ) from None
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{path.parent.name}/{path.name} is not UTF-8: {error.reason} at byte {error.start}.", "Save it as UTF-8."
        ) from None


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _function(exercise_id: str) -> str:
    """u02-my-relu -> my_relu; a name that Python accepts."""
    name = exercise_id[4:].replace("-", "_")
    return f"do_{name}" if keyword.iskeyword(name) or not name.isidentifier() else name


def _defined(text: str) -> set[str]:
    """Names that a file defines at its outermost level, found without parsing: notebooks hold magics."""
    return {
        first or second
        for first, second in re.findall(r"^(?:(?:def|class)\s+(\w+)|(\w+)\s*=(?!=))", text, re.MULTILINE)
    }


def _listed(text: str, unit: catalog.Unit, entry: str) -> str:
    """course.toml with the exercise at the end of its unit and its point in the unit's sum; all else byte for byte."""
    start, end = catalog.section(text, unit.name)
    part = text[start:end]
    part = re.sub(
        r"^(points[ \t]*=[ \t]*)[\d._]+",
        lambda match: f"{match.group(1)}{unit.points + 1:g}",
        part,
        count=1,
        flags=re.MULTILINE,
    )
    body = part.rstrip()
    return (
        text[:start]
        + body
        + "\n"
        + entry
        + (part[len(body) :].removeprefix("\n") if end < len(text) else "")
        + text[end:]
    )


def _save(where: Course, texts: dict[Path, str]) -> None:
    """Write all drafts before the first file changes; course.toml comes last, so what it lists is there."""
    drafts = {path: path.with_name(f"{path.name}.draft") for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            drafts[path].write_bytes(text.encode())
        for path, draft in drafts.items():
            draft.replace(path)
            print(f"wrote {_short(where, path)}")
    except OSError as error:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise CourseError(
            f"{error.filename} cannot be written: {error.strerror}.", "Make room or give write permission."
        ) from None
