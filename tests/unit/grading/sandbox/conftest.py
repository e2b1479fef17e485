"""What the sandbox's tests share: each kind of sandbox that this machine has."""

from __future__ import annotations

import pytest

from coursekit.grading.sandbox import trial


@pytest.fixture(params=["bubblewrap", pytest.param("bubblewrap-cold", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of isolation; skipped, with the reason, where no sandbox holds."""
    held, seen, remedy = trial.try_bubblewrap()
    if request.param != "none" and not held:
        pytest.skip(f"no sandbox here: {seen} {remedy}")
    return str(request.param)
