"""Code is parsed, and what cannot be parsed is no surprise."""

from __future__ import annotations

import ast
import threading

import pytest

from coursekit.grading.collect import syntax

BROKEN = ["def (", "%matplotlib inline", "a = '\0'", "(" * 500]


def test_a_tree_and_its_names() -> None:
    found = syntax.tree("a = b")
    assert isinstance(found, ast.Module) and isinstance(found.body[0], ast.Assign)
    names = syntax.names("a = b")
    assert names is not None and set(names.get_identifiers()) == {"a", "b"}


@pytest.mark.parametrize("source", BROKEN, ids=["broken", "magic", "null", "deep"])
def test_what_cannot_be_parsed(source: str) -> None:
    assert syntax.tree(source) is None
    assert syntax.names(source) is None


def test_what_only_the_compiler_refuses() -> None:
    assert syntax.tree("def f():\n    a = 1\n    global a") is not None
    assert syntax.names("def f():\n    a = 1\n    global a") is None


def test_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, parse = [0], [0], ast.parse
    started = threading.Barrier(4)

    def slowly(source: str) -> ast.Module:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        inside[0] -= 1
        return parse(source)

    def work() -> None:
        started.wait()
        syntax.tree("a = 1")

    monkeypatch.setattr(ast, "parse", slowly)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
