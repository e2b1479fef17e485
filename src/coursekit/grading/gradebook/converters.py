"""nbgrader's two converters, made once and used for one student after another, as its command line does for a whole class."""

from __future__ import annotations

import contextlib
from typing import Any

from nbgrader import converters
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log, setenv
from traitlets.config import Config


class _Again(converters.BaseConverter):  # type: ignore[misc]
    """A converter that keeps its exporter, its writer and their steps."""

    force = True
    _made = False

    def start(self) -> None:
        if self._made:
            self.init_notebooks()
            with contextlib.chdir(self.coursedir.root):
                self.convert_notebooks()
        else:
            super().start()
            self._made = True


class Autograde(_Again, converters.Autograde):  # type: ignore[misc]
    """Without nbgrader's first pass, which puts back what a student changed in locked cells: every graded cell is laid anew anyway."""

    _sanitizing = False

    @property
    def _input_directory(self) -> str:
        return str(self.coursedir.submitted_directory)

    def _init_preprocessors(self) -> None:
        if not self.exporter._preprocessors:
            super()._init_preprocessors()

    def convert_single_notebook(self, notebook_filename: str) -> None:
        self._init_preprocessors()
        with setenv(NBGRADER_EXECUTION="autograde"):
            converters.BaseConverter.convert_single_notebook(self, notebook_filename)


class GenerateFeedback(_Again, converters.GenerateFeedback):  # type: ignore[misc]
    """As it is."""


class Converters:
    """Both, for one course folder. Args: parent: NbGraderAPI, whose settings count."""

    def __init__(self, directory: CourseDirectory, parent: Any) -> None:
        self._directory = directory
        self._autograde = Autograde(coursedir=directory, parent=parent)
        self._feedback = GenerateFeedback(coursedir=directory, parent=parent)
        chosen = Config()
        chosen.HTMLExporter.template_name = "feedback"
        self._feedback.update_config(chosen)

    def autograde(self, unit: str, student: str) -> dict[str, Any]:
        """Run Execute and what follows, and write the autograded notebook. Returns: what nbgrader's capture_log does."""
        return self._run(self._autograde, unit, student)

    def feedback(self, unit: str, student: str) -> dict[str, Any]:
        """Write the feedback page. Returns: what nbgrader's capture_log does."""
        return self._run(self._feedback, unit, student)

    def _run(self, converter: _Again, unit: str, student: str) -> dict[str, Any]:
        folder = self._directory
        before = folder.assignment_id, folder.student_id
        folder.assignment_id, folder.student_id = unit, student
        try:
            said: dict[str, Any] = capture_log(converter)
            return said
        finally:
            folder.assignment_id, folder.student_id = before
