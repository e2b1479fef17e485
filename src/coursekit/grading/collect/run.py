"""Run one submission in the sandbox and bring home what was seen: bytes in, plain data out."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor

import coursekit
from coursekit.checks import wire
from coursekit.checks.snapshot import Observed, encode
from coursekit.checks.wire import TooLarge, WireError
from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import CellRun, Evidence
from coursekit.grading.sandbox.client import Client, Gone
from coursekit.grading.sandbox.limits import Limits
from coursekit.grading.sandbox.outputs import notice, weight
from coursekit.grading.sandbox.zygote_client import Lost

SKIPPED = "a demonstration of the course: nothing that is graded depends on it, so it is not run when grading"
RERUNS = 2  # of a whole submission, after the process died that all warm runners come from


@dataclass(frozen=True)
class Probe:
    """One exercise's check: source of the undecorated function, its name, and the inputs of each case.

    No expected value belongs in here: all of it enters the sandbox, once the cells have run.
    """

    exercise: str
    source: str
    name: str
    cases: list[dict[str, Any]]

    @functools.cached_property
    def frames(self) -> list[tuple[Any, bytes]]:
        """Each case as it is sent, to a whole class: its inputs as JSON, and the tensors beside it. Raises: CourseError."""
        made = []
        for inputs in self.cases:
            tensors: dict[str, Tensor] = {}
            try:
                made.append((encode(inputs, tensors), wire.blob(tensors)))
            except WireError as error:
                raise self.unsendable(error) from error
        return made

    def unsendable(self, error: WireError) -> CourseError:
        return CourseError(f"The inputs of {self.exercise} cannot be sent: {error}.", "Make the key's inputs smaller or plainer.")


def collect(
    sources: list[str],
    probes: list[Probe],
    *,
    submission: str,
    unit: str,
    isolation: str = "bubblewrap",
    limits: Limits | None = None,
    progress: Callable[[str], None] | None = None,
    skip: frozenset[int] = frozenset(),
) -> Evidence:
    """Run a notebook's code cells, then its probes.

    Args: sources: code cells in order. submission: SHA-256 of the file. isolation: "bubblewrap" (warm runners),
    "bubblewrap-cold" (a fresh interpreter each time) or "none".
    progress: told what begins, one line each. skip: places of cells that are not run.
    Raises: CourseError: if the sandbox cannot be had; never for what the submission does.
    """
    began, losses, doubted = time.monotonic(), 0, False
    while True:  # after losses, in a sandbox that depends on nobody else
        kind = "bubblewrap-cold" if losses >= RERUNS and isolation == "bubblewrap" else isolation
        run = _Run(sources, kind, limits or Limits(), progress or (lambda line: None), skip)
        try:
            run.begin()
            cells = [run.cell(index) for index in range(len(sources))]
            observed = {probe.exercise: run.probe(probe) for probe in probes}
        except Lost:
            losses += 1
            continue
        finally:
            run.close()
        if doubted or not run.crashed:
            break
        doubted = True  # a runner that somebody else killed looks the same: a crash counts if it happens again
    outcome = run.events[0][0] if run.events else "graded"
    where = "; ".join(f"{place}: {kind}" for kind, place in run.events)
    return Evidence(
        submission,
        unit,
        outcome,
        where,
        cells,
        observed,
        kind,
        round(time.monotonic() - began, 3),
        versions(),
        cpu_seconds=round(sum(client.used[0] for client in run.clients), 3),
        memory_bytes=max(client.used[1] for client in run.clients),
    )


@dataclass
class _Run:
    """A submission on its way through one runner, or, after crashes, a few.

    `done` lists the cells that ran to an end: a fresh runner runs them again, and only them.
    """

    sources: list[str]
    isolation: str
    limits: Limits
    progress: Callable[[str], None]
    skip: frozenset[int]
    done: list[int] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    client: Client | None = None
    clients: list[Client] = field(default_factory=list)
    starts: int = 0
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.output_room = self.limits.notebook_output_bytes
        self.observation_room = self.limits.observation_bytes
        self.lost = ""  # why nothing more runs, once that is so

    def begin(self) -> None:
        """Start the first runner; if that does not work, the machine is at fault and not the submission."""
        self.client, self.starts = self.fresh(), 1
        self.deadline = time.monotonic() + self.limits.notebook_seconds

    def fresh(self) -> Client:
        """Make a runner. Raises: CourseError: if none can be had."""
        self.clients.append(Client(self.isolation, self.limits))
        return self.clients[-1]

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None

    def cell(self, index: int) -> CellRun:
        """Run one cell, and say how it ended."""
        self.progress(f"cell {index + 1} of {len(self.sources)}")
        if not self.sources[index].strip():
            return CellRun("ok")
        if index in self.skip:
            return CellRun("not run", [notice(SKIPPED)])
        client = self.ready()
        if client is None:
            return CellRun("not run")
        began, ended = time.monotonic(), ""
        try:
            status, outputs = client.cell(self.sources[index], self.allot(self.limits.cell_seconds))
        except TooLarge:
            status, outputs = "not run", [notice("this cell is too large to run")]
        except Gone as gone:
            self.client = None
            ended = gone.kind
            status, outputs = "timed out" if ended == "timed out" else "crashed", [notice(TOLD[ended])]
        if status in ("ok", "error"):
            self.done.append(index)
        else:
            self.note(ended or status, f"cell {index + 1}")
        if (size := weight(outputs)) > self.output_room:
            size, outputs = 0, [notice("the notebook's outputs are too large; this one is left out")]
        self.output_room -= size
        return CellRun(status, outputs, round(time.monotonic() - began, 3))

    def probe(self, probe: Probe) -> list[Observed]:
        """Run one exercise's cases; after a loss its remaining cases are lost too."""
        self.progress(probe.exercise)
        seen: list[Observed] = []
        lost = ""
        for number, (inputs, tensors) in enumerate(probe.frames, 1):
            if not lost:
                one = self._case(probe, inputs, tensors)
                seen.append(one)
                if one.lost is not None:
                    lost = one.lost
                    self.note(lost, f"{probe.exercise}, case {number}")
            else:
                seen.append(Observed(lost=lost))
        return seen

    def _case(self, probe: Probe, inputs: Any, tensors: bytes) -> Observed:
        client = self.ready()
        if client is None:
            return Observed(lost=self.lost)
        try:
            observed, size = client.probe(
                probe.source, probe.name, inputs, tensors, self.allot(self.limits.probe_seconds), self.observation_room
            )
        except WireError as error:
            raise probe.unsendable(error) from error
        except Gone as gone:
            self.client = None
            return Observed(lost=gone.kind)
        self.observation_room = max(0, self.observation_room - size)
        return observed

    def allot(self, most: float) -> float:
        """Seconds for the next piece: at most half of what is left, so that what follows has its turn."""
        return min(most, max(self.deadline - time.monotonic(), 0.02) / 2)

    def ready(self) -> Client | None:
        """Give a runner in which the cells so far have run; None if there is to be no more."""
        if not self.lost and time.monotonic() > self.deadline:
            self.stop("timed out", f"the notebook's {self.limits.notebook_seconds:g} s are over")
        while self.client is None and not self.lost:
            if self.starts > self.limits.restarts:
                self.stop("crashed", f"stopped after {self.limits.restarts} fresh starts")
            else:
                self.restart()
        return None if self.lost else self.client

    def restart(self) -> None:
        """Start afresh and repeat the cells that had run to an end; one that now does not is left out."""
        self.starts += 1
        try:
            self.client = self.fresh()
        except CourseError as error:
            self.stop("crashed", error.problem)
            return
        for index in list(self.done):
            try:
                status, _ = self.client.cell(self.sources[index], self.allot(self.limits.cell_seconds))
            except Gone as gone:
                self.client, status = None, gone.kind
            if status not in ("ok", "error"):
                self.done.remove(index)
                self.note(
                    "timed out" if status == "timed out" else "crashed", f"cell {index + 1}, when repeated"
                )
            if self.client is None:
                return

    def stop(self, kind: str, why: str) -> None:
        self.close()
        self.lost = kind
        self.note(kind, why)

    @property
    def crashed(self) -> bool:
        return any(kind == "crashed" for kind, _ in self.events)

    def note(self, kind: str, place: str) -> None:
        self.events.append((kind, place))


TOLD = {
    "timed out": "this cell did not end in time and was stopped",
    "crashed": "this cell ended the Python process",
    "too large": "this cell sent more than is accepted",
    "out of memory": "this cell's processes used more memory than they may and were stopped",
    "out of CPU time": "this notebook's processes used more processor time than they may and were stopped",
}


@functools.cache
def versions() -> dict[str, str]:
    """The versions that observations may depend on."""
    found = {"python": platform.python_version(), "coursekit": coursekit.__version__}
    for name in ("torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "?"
    return found
