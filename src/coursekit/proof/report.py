"""What a proof says: a table per unit, the mutants that survive, and problems with what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from coursekit.proof.table import table

KILLED = 0.98  # the share of a unit's mutants that its checks must catch
SHIPPED = ("exercise, by the committed key", "variants", "own hint")
HEAD = ("exercise", "oracle", "seeds", "variants", "own hint", "mutants killed", "equivalent")


@dataclass
class Row:
    """What is known of one exercise.

    Args: oracle: how many of the observed names have one. own_hint: how many of the wrong answers got theirs.
    equivalent: mutant -> reason, of those that survive. survivors: (file and line, mutant), of the others.
    killed_by: what the check said, `does not end`, … -> how many mutants.
    """

    exercise: str
    oracle: str
    seeds: int
    variants: int
    wrong: int
    own_hint: int = 0
    mutants: int = 0
    killed: int = 0
    killed_by: dict[str, int] = field(default_factory=dict)
    equivalent: dict[str, str] = field(default_factory=dict)
    survivors: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def counted(self) -> int:
        """The mutants that a check could catch."""
        return self.mutants - len(self.equivalent)

    def cells(self) -> tuple[str, ...]:
        hints, caught = f"{self.own_hint}/{self.wrong}", f"{self.killed}/{self.counted}"
        numbers = (str(self.seeds), str(self.variants), hints, caught, str(len(self.equivalent)))
        return (self.exercise, self.oracle, *numbers)


@dataclass
class Report:
    """One unit's proof. shipped: it judged with the committed key, and tried no mutants."""

    unit: str
    rows: list[Row]
    problems: list[str]
    shipped: bool = False

    @property
    def score(self) -> float:
        """The share of mutants that were killed."""
        total = sum(row.counted for row in self.rows)
        return sum(row.killed for row in self.rows) / total if total else 1.0

    @property
    def said(self) -> list[str]:
        """All problems, each with its exercise."""
        return [
            *self.problems,
            *(f"`{row.exercise}`: {problem}" for row in self.rows for problem in row.problems),
        ]

    @property
    def fine(self) -> bool:
        return not self.said and self.score >= KILLED and not any(row.survivors for row in self.rows)


def text(report: Report) -> str:
    """The report for people."""
    cells = [row.cells() for row in report.rows]
    if report.shipped:
        lines = [report.unit, table(SHIPPED, [(cell[0], *cell[3:5]) for cell in cells], right=(1, 2))]
    else:
        lines = [report.unit, table(HEAD, cells, right=(2, 3, 4, 5, 6))]
        lines.append(f"{report.score:.1%} of the mutants killed; the bar is {KILLED:.0%}.")
    survivors = [f"  {place}: {row.exercise}: {name}" for row in report.rows for place, name in row.survivors]
    if survivors:
        lines += [f"\nMutants that survive: {len(survivors)}", *survivors]
        lines.append("Choose inputs that tell them apart, or say in the key why nothing can:")
        lines.append('  equivalent={"line 3: a + b -> b": "a is always zero here"}')
    if report.said:
        lines += [f"\nProblems: {len(report.said)}", *(f"  {problem}" for problem in report.said)]
    return "\n".join([*lines, f"\n{report.unit}: {'proved' if report.fine else 'not proved'}."])


def data(report: Report) -> dict[str, Any]:
    """The report for programs."""
    rows = []
    for row in report.rows:
        survivors = [{"place": place, "mutant": name} for place, name in row.survivors]
        rows.append({**asdict(row), "survivors": survivors})
    return {
        "unit": report.unit,
        "ok": report.fine,
        "killed": round(report.score, 4),
        "bar": KILLED,
        "exercises": rows,
        "problems": report.said,
    }
