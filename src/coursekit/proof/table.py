"""A plain-text table: columns as wide as their widest cell, numbers to the right, no colour."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay out rows under a head. right: the columns that are aligned to the right."""
    everything = [list(head), *[list(row) for row in rows]]
    width = [max(len(line[column]) for line in everything) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width[i]) if i in right else cell.ljust(width[i]) for i, cell in enumerate(cells)
        ).rstrip()

    return "\n".join([line(head), "  ".join("-" * size for size in width), *(line(row) for row in rows)])
