"""What is said of an exception: the student's own line, and a place that is the same on every machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import pytest
import torch

from coursekit.checks import failure
from coursekit.checks.compare import identity
from coursekit.checks.failure import failure_of
from coursekit.checks.probe import run_probe
from coursekit.checks.snapshot import Failure

Cells = Callable[..., Callable[..., Any]]


def failed(notebook: Cells, *cells: str, **inputs: Any) -> Failure:
    found = run_probe(notebook(*cells), inputs).failure
    assert found is not None
    return found


PROBE = "# a remark\ndef observe(x):\n    y = x.T\n    out = answer(x,\n        )\n    return {'y': out + missing}"


def test_the_statement_of_the_probe_that_was_running(notebook: Cells) -> None:
    assert failed(notebook, "def answer(x):\n    return x @ x", PROBE, x=torch.ones(2, 3)).step == 2
    assert failed(notebook, "def answer(x):\n    return x", PROBE, x=torch.ones(2, 3)).step == 3
    assert failed(notebook, PROBE.replace("x.T", "x.no"), x=torch.ones(2)).step == 1


def test_a_probe_without_a_source_has_no_place() -> None:
    space: dict[str, Any] = {}
    exec("def observe(x):\n    return x.no", space)
    found = run_probe(space["observe"], {"x": 1}).failure
    assert found is not None
    assert (found.step, found.operation) == (0, "")


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ("x @ x", "matmul"), ("torch.matmul(x, x)", "matmul"), ("torch.mm(x, x)", "matmul"), ("x.matmul(x)", "matmul"),
        ("x * torch.ones(7)", "mul"), ("x.mul(torch.ones(7))", "mul"), ("x.mul_(torch.ones(7))", "mul"),
        ("x.sum(dim=9)", "sum"), ("x.backward()", "backward"), ("x[7]", "[]"), ("None.clone()", "clone"), ("x.no", "no"),
        ("sum(3)", "sum"), ("torch.nn.Linear(5, 2)(x)", "call"), ("(lambda t: t @ t)(x)", "matmul"), ("None * x.no", "no"),
    ],
)  # fmt: skip
def test_the_operation_that_failed_as_the_code_spells_it(notebook: Cells, body: str, operation: str) -> None:
    found = failed(notebook, f"def answer(x):\n    return {body}", "def observe(x):\n    return {'y': answer(x)}", x=torch.ones(2, 3))
    assert found.operation == operation


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("return [t for t in x]", "Name"),
        ("return {str(t) for t in x}", "Name"),
        ("return sorted(t for t in x)", "Name"),
        ("return [a for a, b in zip([1], [2, 3], strict=True)]", "zip"),
        ("for t in x: pass", "Name"),
        ("for a, b in zip([1], [2, 3], strict=True): pass", "zip"),
        ("with x: pass", "Name"),
        ("return super(Function, x).__init__()", "super"),
        ("return nothing_such + x", "nothing_such"),
    ],
)
def test_pythons_that_point_at_other_parts_of_a_line_name_one_operation(notebook: Cells, line: str, operation: str) -> None:
    """Python 3.11 points at the whole of a comprehension, a loop or a block, 3.13 at what it goes through; super is the other way round."""
    answer = f"Function = torch.autograd.Function\ndef answer(x):\n    {line}"
    assert failed(notebook, answer, "def observe(x):\n    return {'y': answer(x)}", x=3.0).operation == operation


def test_a_change_in_place_and_a_difference_are_one_operation(notebook: Cells) -> None:
    probe = "def observe(w):\n    return {'y': answer(w.requires_grad_())}"
    for line in ("w -= torch.ones(2)", "w.sub_(torch.ones(2))"):
        assert failed(notebook, f"def answer(w):\n    {line}\n    return w", probe, w=torch.ones(2)).operation == "sub"


def test_an_attribute_that_is_set(notebook: Cells) -> None:
    answer = "class Net(torch.nn.Module):\n    def __init__(self):\n        self.first = torch.nn.Linear(1, 1)"
    found = failed(notebook, answer, "def observe():\n    return {'y': Net()}")
    assert (found.operation, found.own) == ("set attribute", False)


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("raise ValueError('shapes differ')", True),
        ("assert len(x) == 3, 'three'", True),
        ("return {'a': 1}['b']", True),
        ("return x @ x", False),
        ("return [][1]", False),
        ("return torch.nn.Module().missing", False),
        ("return torch.nn.Module().register_buffer('a.b', x)", False),
    ],
)
def test_whose_words_they_are(notebook: Cells, line: str, own: bool) -> None:
    found = failed(notebook, f"def answer(x):\n    {line}", "def observe(x):\n    return {'y': answer(x)}", x=torch.ones(2, 3))
    assert found.own is own


def test_a_librarys_error_that_is_raised_again_keeps_its_words_out(notebook: Cells) -> None:
    answer = "def answer(x):\n    try:\n        return x @ x\n    except RuntimeError as error:\n        raise error"
    assert failed(notebook, answer, "def observe(x):\n    return {'y': answer(x)}", x=torch.ones(2, 3)).own is False


def test_two_ways_to_write_one_mistake_are_one_failure(notebook: Cells) -> None:
    probe = "def observe(x):\n    return {'y': answer(x)}"
    one = failed(notebook, "def answer(x):\n    return x @ x", probe, x=torch.ones(2, 3))
    helper = "def helper(t):\n    # explained\n    return torch.matmul(t, t)\n\ndef answer(x):\n    return helper(x)"
    assert identity(one) == identity(failed(notebook, helper, probe, x=torch.ones(2, 3)))


def test_a_failure_names_the_line_of_the_student_and_not_of_the_probe_or_a_library(notebook: Cells) -> None:
    answer = "def helper(x):\n    return torch.matmul(x, x)\n\ndef answer(x):\n    return helper(x)"
    failure = run_probe(
        notebook(answer, "def observe(x):\n    return {'y': answer(x)}"), {"x": torch.ones(2, 3)}
    ).failure
    assert failure is not None
    assert (failure.type_name, failure.function, failure.lineno) == ("RuntimeError", "helper", 2)
    assert failure.line == "return torch.matmul(x, x)"
    assert "shapes cannot be multiplied" in failure.message


def test_a_failure_in_the_probe_itself_names_the_probe(notebook: Cells) -> None:
    failure = run_probe(notebook("def observe(x):\n    return {'y': missing(x)}"), {"x": 1}).failure
    assert failure is not None
    assert (failure.type_name, failure.function, failure.line) == (
        "NameError",
        "observe",
        "return {'y': missing(x)}",
    )


def test_an_error_whose_text_cannot_be_made_is_still_an_observation(notebook: Cells) -> None:
    source = "class Bad(Exception):\n    def __str__(self): raise ValueError\ndef observe(x):\n    raise Bad"
    failure = run_probe(notebook(source), {"x": 1}).failure
    assert failure is not None
    assert failure.type_name == "Bad"


def test_a_long_message_is_cut(notebook: Cells) -> None:
    failure = run_probe(notebook("def observe(x):\n    raise ValueError('x' * 10**6)"), {"x": 1}).failure
    assert failure is not None
    assert len(failure.message) == 2000


def test_the_name_of_a_temporary_folder_is_not_in_the_message() -> None:
    """It is new in each run; two runs of one answer give the same verdict."""

    def observe() -> dict[str, object]:
        with tempfile.TemporaryDirectory() as folder:
            return {"y": open(f"{folder}/letters/A.png", encoding="utf-8")}

    failure = run_probe(observe, {}).failure
    assert failure is not None
    assert failure.message == f"[Errno 2] No such file or directory: '{tempfile.gettempdir()}/…/letters/A.png'"


def test_a_failure_is_described_on_a_full_disk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    assert failure_of(ValueError("a shape")).message == "a shape"
    assert failure._temporary() == "/tmp"
