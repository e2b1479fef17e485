"""The three ways an exercise or a command can go wrong, kept apart so that nobody is blamed for our faults."""

from __future__ import annotations


class CourseError(Exception):
    """Something about the course or the machine is wrong: not the student's answer.

    Args: problem: what is wrong, naming the thing. remedy: one next step.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class Incorrect(Exception):
    """An answer was tried and is not right yet; the text is what the student reads."""


class NotAttempted(Exception):
    """An answer cell still holds its stub; the text is what the student reads."""
