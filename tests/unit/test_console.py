"""No console can stop a command: what it cannot show comes in ASCII, and the hand-in is written in any case."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import coursekit.cli
from coursekit import console
from coursekit.grading import grade, rejudge
from coursekit.lab import doctor
from coursekit.proof import report, run
from coursekit.proof.execute import Outcome

ENCODINGS = ["cp949", "cp1252", "ascii"]
ODD = "kim-김-é-σ-\udc80 ✔✘○×–…→"  # with half a character, as in a file name that is not UTF-8


def redirected(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Let stdout and stderr be such a console. Returns: what reaches it."""
    seen = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(seen, encoding, write_through=True))
    return seen


def printing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the verb `doctor` print a text."""
    made = ModuleType("coursekit.lab.doctor")
    made.main = lambda as_json: print(text)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coursekit.lab.doctor", made)


REPORTS = {
    "grade": grade.table([grade.Line(ODD, "graded", 1, 5, 0, 1, {ODD: [ODD]}, note=ODD, problem=ODD)]),
    "judge": rejudge.table([rejudge.Change(ODD, ODD, 1.0, 2.0, ODD)], {ODD: [ODD]}, 1),
    "prove": report.text(report.Report("u01", [report.Row(ODD, ODD, 1, 1, 1, survivors=[(ODD, ODD)], problems=[ODD])], [ODD])),
    "run": run._text([Outcome(ODD, "cpu", problem=ODD, artefacts=ODD)]),
    "doctor": doctor.render([doctor.Finding("python", "missing", ODD, ODD)]),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("verb", REPORTS)
def test_every_report_reaches_every_console(monkeypatch: pytest.MonkeyPatch, verb: str, encoding: str) -> None:
    printing(monkeypatch, REPORTS[verb])
    seen = redirected(monkeypatch, encoding)
    assert coursekit.cli.main(["doctor"]) == 0
    said = seen.getvalue().decode(encoding)
    assert "kim-" in said
    assert len(said.splitlines()) == len(REPORTS[verb].splitlines())


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"], ["build", "--check", "u00"], ["submit", "u77"], ["run", "u77"]], ids=" ".join)
def test_verbs_run_on_every_console(monkeypatch: pytest.MonkeyPatch, words: list[str], encoding: str) -> None:
    seen = redirected(monkeypatch, encoding)
    assert coursekit.cli.main(words) in (0, 1)
    assert seen.getvalue().decode(encoding).strip()


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-8"])
def test_submit_writes_the_hand_in_and_says_so(repository: Path, tmp_path: Path, encoding: str) -> None:
    notebook = repository / "notebooks" / "u00_start.ipynb"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(coursekit.__file__).parents[1])}
    command = [sys.executable, "-m", "coursekit", "submit", "u00", "--notebook", str(notebook)]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "handin" / "u00_start.ipynb").read_bytes() == notebook.read_bytes()
    symbol = "o" if encoding in ("cp1252", "ascii") else "○"
    assert f"  {symbol} not started  u00-append-ones" in done.stdout.decode(encoding).splitlines()


def test_a_console_that_can_show_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    printing(monkeypatch, "✔ ○ é 김")
    seen = redirected(monkeypatch, "utf-8")
    assert coursekit.cli.main(["doctor"]) == 0
    assert seen.getvalue().decode("utf-8") == f"✔ ○ é 김{os.linesep}"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", r"+ x o x -> ... >= \xe9 \uae40"),
        ("cp1252", r"+ x o × -> … >= é \uae40"),
        ("cp949", "+ x ○ × → … ≥ \\xe9 김"),
    ],
)
def test_signs_have_a_stand_in_and_other_letters_their_number(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str) -> None:
    redirected(monkeypatch, encoding)
    assert console.fit("✔ ✘ ○ × → … ≥ é 김") == shown
    assert not console.shows("✔")
    assert console.shows("x")


def test_a_stream_without_an_encoding_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's, and none at all, as under pythonw."""
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        console.make_safe()
        assert console.fit("✔") == "✔"


def test_everything_that_is_no_letter_of_english_and_that_we_say_has_a_stand_in(repository: Path) -> None:
    """The signs in the texts of verdicts and reports; formulas in pictures are not printed."""
    said: set[str] = set()
    for part in ("checks", "lab", "grading", "proof", "build"):
        for path in (repository / "src" / "coursekit" / part).glob("*.py"):
            said |= {letter for letter in path.read_text("utf-8") if not letter.isascii()}
    assert said <= set(console._ASCII), sorted(said - set(console._ASCII))
