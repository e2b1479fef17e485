"""What the sandbox's tests share: each kind of sandbox that this machine has, and a short run in one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coursekit.grading.collect.run import Evidence, Probe, collect
from coursekit.grading.sandbox import trial
from coursekit.grading.sandbox.limits import Limits


@pytest.fixture(params=["bubblewrap", pytest.param("bubblewrap-cold", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of isolation; skipped, with the reason, where no sandbox holds."""
    held, seen, remedy = trial.try_bubblewrap()
    if request.param != "none" and not held:
        pytest.skip(f"no sandbox here: {seen} {remedy}")
    return str(request.param)


@pytest.fixture
def run() -> Callable[..., Evidence]:
    """Runs cells in a kind of isolation, within little time; then one probe asks each of these functions about 1.0."""
    limits = Limits(cell_seconds=2, probe_seconds=2, notebook_seconds=30, grace_seconds=0.3, restarts=1)
    source = "def observe(x):\n    return {{'y': {}(x)}}"

    def run(kind: str, cells: list[str], names: tuple[str, ...] = ("double",)) -> Evidence:
        probes = [Probe(f"u00-{name}", source.format(name), "observe", [{"x": 1.0}]) for name in names]
        return collect(cells, probes, submission="ab", unit="u00", isolation=kind, limits=limits)

    return run
