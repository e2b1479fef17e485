"""Which PyTorch course.py takes, and from where."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from typing import Any

import pytest

CPU, ANY = ["--no-deps", "torch==2.13.0+cpu"], ["--no-deps", "torch==2.13.0"]
REST = ["-c", "constraints.txt", "-e", "."]
NOT_THERE = "ERROR: No matching distribution found for torch==2.13.0+cpu"
NO_NETWORK = "WARNING: NewConnectionError('Failed to establish a new connection: [Errno -2] Name or service not known')"
REMEDY = 'Correct --torch-index (or COURSE_TORCH_INDEX); --torch-index "" goes back to the usual sources.\n'


def alone(index: str) -> list[str]:
    return ["--isolated", "--retries=2", "--timeout=15", "--index-url", index]


def torch_calls(checkout: Any) -> list[list[str]]:
    """What pip was told to install, without uv (which it does not find) and the last, the rest of the course."""
    calls: list[list[str]] = checkout.calls("pip")
    return [call for call in calls if call[-1] not in ("uv", ".")]


def test_a_cpu_build_in_the_usual_sources_is_taken(checkout: Any) -> None:
    assert checkout.course.main(["lab"]) == 0
    assert torch_calls(checkout) == [CPU]
    assert checkout.calls("pip")[-1] == REST


@pytest.fixture
def cuda_only(checkout: Any) -> Any:
    """The usual sources have no +cpu."""
    checkout.plan((r"torch==2.13.0\+cpu$", NOT_THERE))
    return checkout


def test_else_it_comes_from_pytorchs_own_index(cuda_only: Any, capsys: Any) -> None:
    assert cuda_only.course.main(["lab"]) == 0
    assert torch_calls(cuda_only) == [CPU, [*CPU, *alone(cuda_only.course.PYTORCH_CPU)]]
    said = capsys.readouterr().err
    assert "- looking for PyTorch's CPU build in pip's sources ...\n  not found" in said
    assert "- looking for it in PyTorch's own index ...\n  done" in said
    assert cuda_only.stamp()["index"] is None
    assert cuda_only.course.main(["lab"]) == 0
    assert len(torch_calls(cuda_only)) == 2


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (NO_NETWORK, "PyTorch's own index of CPU builds does not answer"),
        ("error: 503", "PyTorch's own index of CPU builds does not answer"),
        (NOT_THERE, "PyTorch's own index of CPU builds has none for this Python"),
    ],
)
def test_else_the_cuda_build_is_taken_and_its_size_said(checkout: Any, capsys: Any, says: str, why: str) -> None:
    checkout.plan((r"torch==2.13.0\+cpu$", NOT_THERE), ("isolated", says))
    assert checkout.course.main(["lab"]) == 0
    assert (
        f"  {why}: taking the CUDA build, which runs without a GPU too (3 GB to load, 5 GB on the disk).\n"
        in capsys.readouterr().err
    )
    assert checkout.calls("pip")[-1] == REST
    assert checkout.stamp()["torch"] == "cpu"  # what was looked for; the next start keeps what there is
    calls = len(checkout.calls())
    assert checkout.course.main(["lab"]) == 0
    assert len(checkout.calls()) == calls


def test_the_cuda_build_needs_room(checkout: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "total used free")(10**12, 0, 5e9))
    checkout.plan((r"torch==2.13.0\+cpu$", NOT_THERE), ("isolated", NO_NETWORK))
    assert checkout.course.main(["lab"]) == 1
    assert f"Only 5.0 GB are free in {checkout.root}; setting up needs 10 GB.\n" in capsys.readouterr().err
    assert REST not in checkout.calls("pip")


def test_pip_without_an_index_keeps_to_its_folder(checkout: Any, capsys: Any) -> None:
    checkout.plan((r"\+cpu$", NOT_THERE), no_index=True, find_links=["/wheels"])
    assert checkout.course.main(["lab"]) == 0
    assert torch_calls(checkout) == [CPU]
    assert (
        "  pip's sources have no CPU build of PyTorch, and pip is told to use no index: taking the CUDA build"
        in capsys.readouterr().err
    )


def test_a_usual_source_that_fails_otherwise_is_no_reason_to_look_elsewhere(checkout: Any, capsys: Any) -> None:
    checkout.plan((r"torch==2.13.0\+cpu$", NO_NETWORK))
    assert checkout.course.main(["lab"]) == 1
    assert torch_calls(checkout) == [CPU]
    assert "The package source cannot be reached: there seems to be no network.\n" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["driver", "wish", "system"])
def test_the_usual_build_needs_no_looking(checkout: Any, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "driver":
        monkeypatch.setattr(checkout.part("machine"), "has_nvidia_driver", lambda: True)
    elif by == "system":
        monkeypatch.setattr(checkout.part("pytorch").sys, "platform", "darwin")
    assert checkout.course.main(["lab", "--torch", "cuda"] if by == "wish" else ["lab"]) == 0
    assert torch_calls(checkout) == []
    assert checkout.stamp()["torch"] == ("cpu" if by == "system" else "cuda")


def test_a_wish_is_remembered(checkout: Any) -> None:
    assert checkout.course.main(["lab", "--torch", "cuda"]) == 0
    calls = len(checkout.calls())
    assert checkout.course.main(["lab"]) == 0
    assert len(checkout.calls()) == calls
    assert checkout.course.main(["lab", "--torch", "cpu"]) == 0
    assert torch_calls(checkout) == [CPU]


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_given_index_is_asked_alone_and_remembered(checkout: Any, by: str, monkeypatch: Any) -> None:
    index = "https://wheels.invalid/cpu"
    if by == "variable":
        monkeypatch.setenv("COURSE_TORCH_INDEX", index)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    assert checkout.course.main(["lab"] if by == "variable" else ["lab", "--torch-index", index]) == 0
    assert torch_calls(checkout) == [[*CPU, *alone(index)]]
    assert checkout.calls("pip")[-1] == REST
    asked = next(env for env, call in zip(checkout.environments(), checkout.calls(), strict=True) if index in call)
    assert asked["PIP_CONFIG_FILE"] == os.devnull
    assert "PIP_FIND_LINKS" not in asked
    monkeypatch.delenv("COURSE_TORCH_INDEX", raising=False)
    assert checkout.course.main(["lab"]) == 0
    assert len(torch_calls(checkout)) == 1
    assert checkout.stamp()["index"] == index


def test_an_index_without_a_cpu_build_gives_what_it_has(checkout: Any) -> None:
    checkout.plan((r"\+cpu", NOT_THERE))
    assert checkout.course.main(["lab", "--torch-index", "https://wheels.invalid"]) == 0
    assert torch_calls(checkout)[-1] == [*ANY, *alone("https://wheels.invalid")]


def test_an_empty_index_takes_an_earlier_one_back(checkout: Any, capsys: Any) -> None:
    assert checkout.course.main(["lab", "--torch-index", "https://wheels.invalid"]) == 0
    capsys.readouterr()
    assert checkout.course.main(["lab", "--torch-index", ""]) == 0
    said = capsys.readouterr().err
    assert said.startswith("The environment in .venv holds another PyTorch build; building it again.\n")
    assert torch_calls(checkout)[-1] == CPU
    assert checkout.stamp()["index"] is None


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        (NO_NETWORK, "does not answer: https://wheels.invalid"),
        (NOT_THERE, "has no torch==2.13.0 for this Python and machine: https://wheels.invalid"),
    ],
)
def test_a_given_index_that_does_not_work_is_named_and_not_remembered(
    checkout: Any, capsys: Any, says: str, problem: str
) -> None:
    checkout.plan(("isolated", says))
    assert checkout.course.main(["lab", "--torch", "cuda", "--torch-index", "https://wheels.invalid"]) == 1
    assert capsys.readouterr().err.endswith(f"course.py: The index given for PyTorch {problem}\n{REMEDY}")
    assert (checkout.stamp()["asked"], checkout.stamp()["index"]) == (None, None)
    assert checkout.course.main(["lab"]) == 0
    assert torch_calls(checkout)[-1] == CPU


def test_a_given_index_with_an_untrusted_certificate(checkout: Any, capsys: Any) -> None:
    checkout.plan(("isolated", "error: invalid peer certificate: UnknownIssuer"))
    assert checkout.course.main(["lab", "--torch-index", "https://wheels.invalid"]) == 1
    assert capsys.readouterr().err.endswith(
        "course.py: The package source shows a certificate that this machine does not trust. "
        "The index given for PyTorch: https://wheels.invalid\n"
        "Where a company or school filters the network, set PIP_CERT=FILE, the certificate that its IT gives out.\n"
    )


@pytest.mark.parametrize("index", ["cpu", "htps://wheels.invalid", "https:/wheels.invalid", "/wheels"])
def test_what_is_no_address_is_refused_at_once(checkout: Any, capsys: Any, index: str) -> None:
    assert checkout.course.main(["lab", "--torch-index", index]) == 1
    assert capsys.readouterr().err == f"course.py: The index given for PyTorch is not an address: {index}\n{REMEDY}"
    assert not (checkout.root / ".venv").exists()


def test_a_folder_that_is_not_there_is_refused_at_once(checkout: Any, capsys: Any) -> None:
    index = (checkout.root / "gone").as_uri()
    assert checkout.course.main(["lab", "--torch-index", index]) == 1
    said = f"course.py: The index given for PyTorch is a folder that does not exist: {index}\n{REMEDY}"
    assert capsys.readouterr().err == said


def test_a_course_without_a_pin_says_so(checkout: Any, capsys: Any) -> None:
    (checkout.root / "constraints.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    assert checkout.course.main(["lab"]) == 1
    said = "course.py: constraints.txt has no pin for torch.\nGet the course's files again.\n"
    assert capsys.readouterr().err.endswith(said)
