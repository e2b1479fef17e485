"""What of a submission stands where in the notebook to grade, and what of it is run: told without the key, and without nbformat.

What is graded never depends on this: the probes come from the course, not from the submission.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from coursekit.grading.collect.intake import Part, Sheet

_CHECK = re.compile(r"""^[ \t]*@check\([ \t]*["']([^"'\n]+)["'][ \t]*\)""", re.MULTILINE)


class Place(NamedTuple):
    """One cell of the notebook to grade. name: of the release's cell that stands there. part: the student's text, if it is theirs."""

    name: str | None
    part: Part | None


@dataclass(frozen=True)
class Prepared:
    """What a submission gives to run. outcome: why there is nothing, or None. digest: of all that decides the evidence."""

    sources: tuple[str, ...]
    outcome: str | None
    digest: str


@dataclass(frozen=True)
class Planner:
    """What has to be known of a unit.

    Args: unit: its name. functions: that its exercises ask for. basis: digest of all that decides evidence beside the submission.
    names: of the release's cells. checks: name -> source of each graded cell, None if it is no code. answers: name -> whether it is code.
    """

    unit: str
    functions: list[str]
    basis: str
    names: list[str]
    checks: dict[str, str | None]
    answers: dict[str, bool]

    @classmethod
    def of(cls, release: Any, unit: str, functions: list[str], basis: str) -> Planner:
        """Look through a release notebook."""
        known = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in release.cells if "nbgrader" in cell.metadata}
        about = {name: cell.metadata["nbgrader"] for name, cell in known.items()}
        code = {name: cell.cell_type == "code" for name, cell in known.items()}
        checks = {name: known[name].source if code[name] else None for name in known if about[name].get("grade")}
        return cls(unit, functions, basis, list(known), checks, {name: code[name] for name in known if about[name].get("solution")})

    def outcome(self, sheet: Sheet) -> str | None:
        """Why there is nothing to run, or None."""
        if sheet.problem is None and not self._belongs(sheet):
            return f"wrong unit: nothing of {self.unit} is in it"
        return sheet.problem

    def _belongs(self, sheet: Sheet) -> bool:
        """Whether it is of this unit at all: it names one of its exercises, or defines one of its functions."""
        any_of = "|".join(map(re.escape, self.functions))
        defines = re.compile(rf"^[ \t]*(?:def|class)[ \t]+(?:{any_of})\b|^[ \t]*(?:{any_of})[ \t]*=", re.MULTILINE)
        return any(
            part.grade_id in self.names or _claims(part, self.names) or (part.kind == "code" and defines.search(part.text))
            for part in sheet.parts
        )

    def places(self, sheet: Sheet) -> list[Place]:
        """Every graded cell once, the course's own, in its place; nothing of the student's is lost."""
        places: list[Place] = []
        placed: set[str] = set()
        for part in sheet.parts:
            name = _claims(part, self.checks)
            if name is not None and name not in placed:
                if part.kind != "code" or part.text.strip() != (self.checks[name] or "").strip():
                    places.append(Place(None, part))  # an edited check may hold the answer itself: it still runs, as the student's
                places.append(Place(name, None))
                placed.add(name)
            elif part.kind == "code" and part.grade_id in self.answers and part.grade_id not in placed:
                places.append(Place(part.grade_id, part))
                placed.add(part.grade_id)
            else:
                places.append(Place(None, part))
        for name in self.checks:
            if name not in placed:  # it goes behind its answer, else to the end
                behind = (number for number, place in enumerate(places, 1) if place.name == f"{name}-answer")
                places.insert(next(behind, len(places)), Place(name, None))
        return places

    def prepare(self, sheet: Sheet) -> Prepared:
        """Keep what there is to run."""
        return self.prepared(self.places(sheet), self.outcome(sheet))

    def _source(self, place: Place) -> str | None:
        if place.part is None:
            return self.checks[place.name] if place.name is not None else None
        code = place.part.kind == "code" if place.name is None else self.answers[place.name]
        return place.part.text if code else None

    def prepared(self, places: Iterable[Place], outcome: str | None) -> Prepared:
        """Name what of a layout is to be run."""
        sources = tuple(source for place in places if (source := self._source(place)) is not None)
        digest = hashlib.sha256(json.dumps([self.basis, outcome, sources]).encode()).hexdigest()
        return Prepared(sources, outcome, digest)


def _claims(part: Part, known: Container[str]) -> str | None:
    if part.grade_id is not None and part.grade_id in known:
        return part.grade_id
    match = _CHECK.search(part.text) if part.kind == "code" else None
    return match.group(1) if match and match.group(1) in known else None
