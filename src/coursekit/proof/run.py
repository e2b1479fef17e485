"""`coursekit run`: execute notebooks. A solution passes every check; in a release none is started."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from coursekit.course import catalog
from coursekit.course.paths import Course, course
from coursekit.errors import CourseError
from coursekit.proof.execute import Job, Outcome, execute, shown
from coursekit.proof.table import table

ARTEFACTS = Path("artefacts")


def main(units: list[str], device: str = "auto", jobs: int = 1, release: bool = False, as_json: bool = False) -> int:
    """Execute the named units' notebooks, or all. Returns: 0, or 1 if one fails."""
    where = course()
    selected = catalog.load(where.catalog).select(units)
    chosen = choose_device(device)
    work = [_job(where, unit, chosen, release) for unit in selected]
    outcomes = {outcome.unit: outcome for outcome in _all(work, jobs)}
    ordered = [outcomes[unit.name] for unit in selected]
    fine = not any(item.problem for item in ordered)
    if as_json:
        print(json.dumps({"ok": fine, "units": [asdict(item) for item in ordered]}, indent=1))
    else:
        print(_text(ordered))
    return 0 if fine else 1


def choose_device(name: str) -> str:
    """The device to run on; auto takes a GPU if there is one. Raises: CourseError: if cuda cannot be had."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        if torch.version.cuda is None:
            raise CourseError(
                f"`--device cuda` needs a torch built with CUDA; torch {torch.__version__} is built without.",
                "Set the course up with `python3 course.py doctor --torch cuda`, or run with --device cpu.",
            )
        raise CourseError(
            f"`--device cuda` needs an NVIDIA GPU; torch {torch.__version__} finds none on this machine.",
            "Look at what `nvidia-smi` says, or run with --device cpu.",
        )
    return name


def _job(where: Course, unit: catalog.Unit, device: str, release: bool) -> Job:
    from coursekit.checks.verdict import State

    kind, wanted = ("release", State.NOT_STARTED) if release else ("solution", State.PASSED)
    if not (where.keys / f"{unit.name}.key").is_file():
        raise CourseError(
            f"`{unit.name}` has no visible key in {where.keys.name}/.", f"Run `coursekit build {unit.short}`."
        )
    text = _release(where, unit) if release else _solution(where, unit)
    return Job(
        unit.name,
        text,
        (ARTEFACTS / unit.name / kind).absolute(),
        where.keys,
        device,
        wanted.value,
        tuple(exercise.id for exercise in unit.exercises),
    )


def _release(where: Course, unit: catalog.Unit) -> str:
    path = where.notebooks / f"{unit.name}.ipynb"
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise CourseError(
            f"{path.name} cannot be read: {error.strerror}.", f"Run `coursekit build {unit.short}`."
        ) from None


def _solution(where: Course, unit: catalog.Unit) -> str:
    from coursekit.build import notebook, source, verify

    parsed = source.read(where.solutions / f"{unit.name}.py")
    if said := verify.outline(parsed, unit):
        raise CourseError(
            f"`{unit.name}` is not ready to run:\n" + "\n".join(f"  {line}" for line in said),
            "Mend these, then run again.",
        )
    return notebook.text_of(notebook.solution(parsed, unit))


def _all(work: list[Job], jobs: int) -> Iterator[Outcome]:
    """Execute the notebooks, each in a process of its own, so that none sees another's environment."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting: dict[Future[Outcome], Job] = {pool.submit(execute, job): job for job in work}
        # disable=None: no bar unless stderr is a terminal
        for future in tqdm(
            as_completed(waiting),
            total=len(work),
            desc="run",
            unit="notebook",
            file=sys.stderr,
            disable=None,
            leave=False,
        ):
            try:
                yield future.result()
            except BrokenProcessPool:
                job = waiting[future]
                yield Outcome(
                    job.unit,
                    job.device,
                    checks=len(job.checks),
                    problem="its process died",
                    artefacts=shown(job.folder),
                )


def _text(outcomes: list[Outcome]) -> str:
    rows = [
        (item.unit, f"{item.seconds:.1f}", f"{item.right}/{item.checks}", "failed" if item.problem else "ok")
        for item in outcomes
    ]
    lines = [table(("unit", "seconds", "checks as expected", "result"), rows, right=(1, 2))]
    for item in outcomes:
        if item.problem:
            lines.append(f"\n{item.unit}: {item.problem}.")
            lines.append(f"The executed notebook and its log are kept in {item.artefacts}/.")
    return "\n".join(lines)
