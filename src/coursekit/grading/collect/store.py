"""A unit's evidence: found if this very submission ran before, else collected in the sandbox and kept.

A store knows what a run needs, inputs included, and no expected value: it can be handed to a process that only collects.
"""

from __future__ import annotations

import contextlib
import hashlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from coursekit.checks import wire
from coursekit.checks.snapshot import Observed, decode, encode
from coursekit.errors import CourseError
from coursekit.grading.collect import evidence as files
from coursekit.grading.collect.demonstrations import skippable
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.plan import Prepared
from coursekit.grading.collect.run import Probe, collect, versions
from coursekit.grading.sandbox.limits import Limits

MAX_BYTES = 1 << 30  # of a unit's inputs


class Store:
    """A unit's.

    Args: folder: of the evidence. probes: of the exercises, with the inputs of each case in the key's order.
    shown: sources of the release's demonstrations, which need not run.
    """

    def __init__(self, folder: Path, unit: str, probes: list[Probe], limits: Limits, shown: frozenset[str] = frozenset()) -> None:
        self.folder, self.unit, self.probes, self.limits, self.shown = folder, unit, probes, limits, shown
        self.inputs = {probe.exercise: digest([probe.source, probe.cases]) for probe in probes}
        self._order = {probe.exercise: _secret_order(probe.cases) for probe in probes}
        self._shuffled = [replace(probe, cases=[probe.cases[n] for n in self._order[probe.exercise]]) for probe in probes]
        self._last: tuple[tuple[Path, int], Evidence] | None = None

    def pack(self) -> bytes:
        """Write all of it as one frame."""
        tensors: dict[str, Tensor] = {}
        probes = [[one.exercise, one.source, one.name, [encode(case, tensors) for case in one.cases]] for one in self.probes]
        form = {"folder": str(self.folder), "unit": self.unit, "limits": asdict(self.limits), "probes": probes, "shown": sorted(self.shown)}
        return wire.pack(form, tensors, MAX_BYTES, MAX_BYTES)

    @classmethod
    def unpack(cls, data: bytes) -> Store:
        """Read what `pack` wrote."""
        form, tensors = wire.unpack(data, MAX_BYTES, MAX_BYTES)
        probes = [
            Probe(exercise, source, name, [_case(case, tensors) for case in cases])
            for exercise, source, name, cases in form["probes"]
        ]
        return cls(Path(form["folder"]), form["unit"], probes, Limits(**form["limits"]), frozenset(form["shown"]))

    def path(self, prepared: Prepared) -> Path:
        return self.folder / f"{prepared.digest}.evidence"

    def evidence(
        self, prepared: Prepared, isolation: str, reuse: bool = True, retry: bool = False, turn: AbstractContextManager[object] | None = None
    ) -> Evidence:
        """Find the evidence of this very submission, or collect it in the sandbox and keep it.

        Args: reuse: False collects in any case. retry: collects again what did not run to its end, or ran with other versions.
        turn: is waited for before it runs, and given up before the disk has taken the evidence.
        """
        path = self.path(prepared)
        if reuse and path.is_file():
            with contextlib.suppress(CourseError):  # damaged: it is collected again
                kept = self._load(path)
                sound = kept.outcome == "graded" and kept.environment == versions()
                if _serves(kept.isolation, isolation) and kept.inputs == self.inputs and (sound or not retry):
                    return kept
        if prepared.outcome is not None:
            outcome, _, where = prepared.outcome.partition(": ")
            return Evidence(prepared.digest, self.unit, outcome, where, [], {}, isolation, 0.0, {})
        skip = self.skip(prepared)
        with turn or nullcontext():
            found = collect(
                list(prepared.sources),
                self._shuffled,
                submission=prepared.digest,
                unit=self.unit,
                isolation=isolation,
                limits=self.limits,
                skip=skip,
            )
        found = replace(
            found,
            inputs=self.inputs,
            observed={name: self._in_order(name, seen) for name, seen in found.observed.items()},
        )
        files.save(found, path)
        return found

    def skip(self, prepared: Prepared) -> frozenset[int]:
        """Places of the cells that need not run."""
        return skippable(prepared.sources, self.shown, [probe.source for probe in self.probes])

    def _load(self, path: Path) -> Evidence:
        """Read a file of evidence. The last one stays at hand: whoever judges it is followed by nbgrader, which asks for it once more."""
        key = path, path.stat().st_mtime_ns
        if self._last is None or self._last[0] != key:
            self._last = key, files.load(path)
        return self._last[1]

    def _in_order(self, name: str, seen: list[Observed]) -> list[Observed]:
        """Observations in the key's order. Cases run in a secret one: who counts calls must not know which is to be refused."""
        back = dict(zip(self._order[name], seen, strict=True))
        return [back[number] for number in range(len(seen))]


def _case(form: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    case = decode(form, tensors)
    if not isinstance(case, dict):
        raise ValueError("a case is not a set of inputs")
    return case


def _secret_order(cases: list[dict[str, Any]]) -> list[int]:
    """An order that only the secret inputs decide, and that is the same in each run."""
    return sorted(range(len(cases)), key=lambda number: digest([cases[number]]))


def _serves(had: str, wanted: str) -> bool:
    """Whether evidence collected in one way counts where another is asked for: a warm run may have fallen back to a cold one."""
    return had == wanted or (wanted, had) == ("bubblewrap", "bubblewrap-cold")


def digest(asked: list[Any]) -> str:
    """SHA-256 of texts, numbers and tensors."""
    tensors: dict[str, Tensor] = {}
    return hashlib.sha256(wire.pack({"asked": encode(asked, tensors)}, tensors)).hexdigest()
