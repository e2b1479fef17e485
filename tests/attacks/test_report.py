"""Whole runs through nbgrader: what students write reaches no page, list or spreadsheet as anything but text."""

from __future__ import annotations

import contextlib
import csv
import html.parser
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import attack_files
import pytest

from coursekit.course.paths import course
from coursekit.grading.collect.intake import MAX_BYTES, gather
from coursekit.grading.grade import Line, grade, table
from coursekit.grading.gradebook.record import Gradebook
from coursekit.grading.sandbox import trial

if TYPE_CHECKING:
    from conftest import Range

HELD, SEEN, REMEDY = trial.try_bubblewrap()
ON_PAGES = [attack for attack in attack_files.every() if attack.group == "report"]
NAMES = ["=1+1", "+cmd", "-2+3", "@SUM(1)", "<b>eve", "eve'; DROP TABLE grade; --", "&lt;b", "a b", "a_b", "\x1b[2Jeve", "‮evil", "x" * 150]
pytestmark = [pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}"),
              pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")]


class Active(html.parser.HTMLParser):
    """Finds markup that would run or fetch something, and holds the student's word."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ""
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            if "PWNED" in f"{name}{value}" and (name.startswith("on") or name in ("href", "src", "srcdoc", "style", "action", "data")):
                self.found.append(f"<{tag} {name}={value}>")
        if "pwned" in tag:
            self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style", "iframe", "svg", "title") and "PWNED" in data:
            self.found.append(f"in <{self.inside}>: {data[:80]}")


def active(page: str) -> list[str]:
    parser = Active()
    parser.feed(page)
    return parser.found


def test_the_look_at_a_page_sees_what_is_active() -> None:
    assert active("<p>&lt;script&gt;PWNED</p><pre>PWNED</pre>") == []
    for page in ("<script>PWNED</script>", "<img src=x onerror=alert('PWNED')>", "<a href='javascript:PWNED'>x</a>", "<svg onload=PWNED>"):
        assert active(page) != [], page


@pytest.fixture(scope="module")
def recorded(field_of_fire: Range, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Line, str]]:
    """One class of report attacks, graded and recorded: student -> line and feedback page."""
    from coursekit.grading.demo import copy_course

    where = copy_course(course(), tmp_path_factory.mktemp("report") / "course")
    handed_in = where.root / "handed-in"
    handed_in.mkdir()
    for attack in ON_PAGES:
        (handed_in / f"{attack.path.stem}.ipynb").write_bytes(attack_files.submission(attack, field_of_fire.maker, field_of_fire.known))
    for number, name in enumerate(NAMES):
        (handed_in / f"{name}.ipynb").write_text(json.dumps({"cells": [], "number": number}), "utf-8")
    with contextlib.chdir(where.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSEKIT_SEED", f"{field_of_fire.canary} seed")
        book = Gradebook(where, field_of_fire.grader.unit, "bubblewrap")
        files = gather(handed_in, "u01_tensors")
        book.take_in(files)
        lines = grade(book, files, 2, "bubblewrap", False)
        print(table(lines))
        done = subprocess.run([sys.executable, "-m", "nbgrader", "export"], cwd=where.autograder, capture_output=True, text=True,
                              timeout=120, check=False, env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
        assert done.returncode == 0, done.stderr
    pages = {line.student: (where.root / line.feedback).read_text("utf-8") if line.feedback else "" for line in lines}
    pages["(table)"], pages["(csv)"] = table(lines), (where.autograder / "grades.csv").read_text("utf-8")
    return {line.student: (line, pages[line.student]) for line in lines} | {name: (lines[0], pages[name]) for name in ("(table)", "(csv)")}


@pytest.mark.slow
@pytest.mark.parametrize("attack", ON_PAGES, ids=[attack.path.stem for attack in ON_PAGES])
def test_nothing_on_a_feedback_page_is_active(attack: attack_files.Attack, recorded: dict[str, tuple[Line, str]], field_of_fire: Range) -> None:
    line, page = recorded[attack.path.stem]
    assert line.problem is None
    assert line.score == 8.0
    assert page
    assert active(page) == []
    assert field_of_fire.canary not in page
    assert "BEGIN SOLUTION" not in page


@pytest.mark.slow
def test_a_list_and_a_spreadsheet_hold_only_text(recorded: dict[str, tuple[Line, str]]) -> None:
    assert "\x1b" not in recorded["(table)"][1]
    assert len(recorded) == len(ON_PAGES) + len(NAMES) + 2
    rows = list(csv.DictReader(io.StringIO(recorded["(csv)"][1])))
    assert len(rows) == len(ON_PAGES) + len(NAMES)
    assert [cell for row in rows for cell in row.values() if cell and cell[0] in "=+-@\t\r"] == []


# ---- how files come

def test_nobody_takes_another_ones_name(tmp_path: Path) -> None:
    for name in ("-bob", "bob", "@bob", "b*b", "b b", "b_b"):
        (tmp_path / f"{name}.ipynb").write_text(name, "utf-8")
    found = {item.student: item for item in gather(tmp_path, "u01_tensors")}
    assert found["bob"].data == b"bob"
    assert found["b_b"].data == b"b_b"
    assert {item.data.decode() for item in found.values()} == {"-bob", "bob", "@bob", "b*b", "b b", "b_b"}
    assert found["bob_2"].note == "the name -bob is not `bob`"


def test_a_file_name_gives_a_terminal_no_orders(tmp_path: Path) -> None:
    folder = tmp_path / "eve" / "u01_tensors"
    folder.mkdir(parents=True)
    (folder / "x\x1b[2J\nmallory  50 of 50  graded.ipynb").write_text("{}", "utf-8")
    [item] = gather(tmp_path, "u01_tensors")
    assert item.note.isprintable()


def test_links_and_devices_are_no_submission(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary", "utf-8")
    place = tmp_path / "handed-in"
    for student, target in (("links", secret), ("device", Path("/dev/zero")), ("loop", place / "loop" / "u01_tensors" / "u01_tensors.ipynb")):
        folder = place / student / "u01_tensors"
        folder.mkdir(parents=True)
        (folder / "u01_tensors.ipynb").symlink_to(target)
    os.mkfifo(place / "pipe.ipynb")
    (place / "up").symlink_to(tmp_path)
    found = {item.student: item.data for item in gather(place, "u01_tensors")}
    assert set(found.values()) == {b""}


def test_what_lies_beside_a_submission_is_not_followed(field_of_fire: Range, tmp_path: Path) -> None:
    from coursekit.grading.collect.intake import Submission
    from coursekit.grading.demo import copy_course

    where = copy_course(course(), tmp_path / "course")
    book = Gradebook(where, field_of_fire.grader.unit, "bubblewrap")
    folder = book.submitted / "eve" / "u01_tensors"
    folder.mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text(field_of_fire.canary, "utf-8")
    (folder / "seed.txt").symlink_to(secret)
    (folder / ".u01_tensors.draft").symlink_to(secret)
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "data.csv").write_text("1,2", "utf-8")
    os.mkfifo(folder / "pipe")
    book.stage(Submission("eve", b"{}"))
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "timestamp.txt", "u01_tensors.ipynb"]
    assert secret.read_text("utf-8") == field_of_fire.canary


def test_a_zip_leads_nowhere_and_its_sizes_are_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("../../outside.ipynb", "/etc/owned.ipynb", "eve/u01_tensors/../../../up.ipynb",
                     "a/../../b/u01_tensors/u01_tensors.ipynb", "C:\\evil.ipynb"):
            archive.writestr(name, "{}")
        archive.writestr("bomb.ipynb", bytes(MAX_BYTES + 5))
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("-" * 60_000 + ".ipynb", "{}")
    found = {item.student: item for item in gather(tmp_path / "all.zip", "u01_tensors")}
    assert len(found["bomb"].data) == MAX_BYTES + 1
    assert found["link"].data == b"/etc/passwd"             # the text of the link, never what it leads to
    assert all(name == Path(name).name and name not in (".", "..") for name in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip"]
