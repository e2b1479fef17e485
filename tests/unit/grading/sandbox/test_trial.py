"""A sandbox is believed to hold when it was tried, and refused with a remedy when it cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from coursekit.errors import CourseError
from coursekit.grading.sandbox import bubblewrap, trial, zygote_client
from coursekit.grading.sandbox.client import Client
from coursekit.grading.sandbox.limits import Limits


def test_a_sandbox_that_starts_also_holds() -> None:
    _, seen, _ = trial.try_bubblewrap()
    assert "does not hold" not in seen, seen        # a warm one that leaks would be replaced by a cold one: that is said here


@pytest.fixture
def fresh() -> Iterator[None]:
    zygote_client.close()
    bubblewrap.capable.cache_clear()
    trial.tried.cache_clear()
    yield
    bubblewrap.capable.cache_clear()
    trial.tried.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap exists on Linux only")
@pytest.mark.usefixtures("fresh")
def test_without_bubblewrap_grading_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name, path: None if name == "bwrap" else name)
    with pytest.raises(CourseError) as caught:
        Client("bubblewrap-cold", Limits())
    assert caught.value.problem == "`bwrap` is not installed, so submissions cannot be isolated."
    assert "sudo apt install bubblewrap" in caught.value.remedy
    assert "--isolation none" in caught.value.remedy
    works, seen, remedy = trial.try_bubblewrap()
    assert (works, seen, remedy) == (False, caught.value.problem, caught.value.remedy)
