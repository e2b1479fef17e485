"""The process that forks warm runners is alone before it does."""

from __future__ import annotations

import os

import pytest

from coursekit.grading.inside import zygote


def test_a_second_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda place: ["7"])
    zygote.alone()
    monkeypatch.setattr(os, "listdir", lambda place: ["7", "8"])
    with pytest.raises(RuntimeError, match="the zygote has 2 threads, and a fork keeps one"):
        zygote.alone()
