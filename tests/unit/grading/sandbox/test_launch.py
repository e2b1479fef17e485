"""Nothing is read, written or left behind outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.sandbox import cage, launch

DOUBLE = "def double(x): return 2 * x"
Run = Callable[..., Evidence]


def text(evidence: Evidence, cell: int) -> str:
    return "".join(output.get("text", "") for output in evidence.cells[cell].outputs)


def running(mark: str) -> list[str]:
    """Processes of this machine whose command line or environment holds a text."""
    found = []
    for name in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in name.read_bytes():
                found.append(str(name))
        except OSError:
            continue
    return found


# ---- what is out of reach

ATTEMPT = """
import glob, os, socket
def attempt(action):
    try: return action()
    except OSError as error: return type(error).__name__
def write(folder):
    open(os.path.join(folder, "planted"), "w")
    return "written"
"""


def test_no_network_no_secrets_no_writing(run: Run, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("planted-secret", "utf-8")
    monkeypatch.setenv("PLANTED", "planted-secret")
    repository = Path(launch.__file__).parents[4]
    hidden = [str(repository / name) for name in ("autograder", "solutions", "data", "tests", "src")]
    closed = ["/", "/usr", "/etc", "/dev", "/proc", "/course", "/course/coursekit", sys.prefix, str(tmp_path)]
    evidence = run(
        kind,
        [
            ATTEMPT,
            "for place in ('192.0.2.1', '127.0.0.1'):\n"
            "    print(attempt(lambda: socket.create_connection((place, 53), 0.5)))",
            f"print(attempt(lambda: open({str(tmp_path / 'secret')!r}).read()))",
            f"for place in {hidden}: print(attempt(lambda: os.listdir(place)))",
            "for name in glob.glob('/proc/*/environ'):\n"
            "    if 'planted' in str(attempt(lambda: open(name, 'rb').read())): print('leaked')\n"
            "print('PLANTED' in os.environ)",
            f"for place in {closed}: print(attempt(lambda: write(place)))",
            "print(write(os.environ['HOME']), os.getcwd() == os.environ['HOME'])",
            "import coursekit.grading.collect.run",
            "import socket; print(os.getuid() == 0, socket.gethostname())\n"
            "import coursekit.grading; print(*sorted(os.listdir(coursekit.grading.__path__[0])))",
            DOUBLE,
        ]
    )
    assert set(text(evidence, 1).split()) <= {"OSError", "ConnectionRefusedError"}
    assert text(evidence, 2).strip() == "FileNotFoundError"
    assert text(evidence, 3).split() == ["FileNotFoundError"] * len(hidden)
    assert text(evidence, 4).strip() == "False"
    refused = {"OSError", "PermissionError", "FileNotFoundError"}
    assert set(text(evidence, 5).split()) <= refused, text(evidence, 5)
    assert text(evidence, 6).split() == ["written", "True"]
    assert evidence.cells[7].outputs[0]["ename"] == "ModuleNotFoundError"
    assert text(evidence, 8).split() == ["False", "grading", "__init__.py", "inside"]
    assert not (tmp_path / "planted").exists()
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


def test_isolation_none_still_hides_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "planted-secret")
    look = (
        "print('PLANTED' in os.environ, os.environ['COURSEKIT_SANDBOX'], os.getcwd() == os.environ['HOME'])"
    )
    assert text(run("none", ["import os", look], ()), 1) == "False 1 True\n"


# ---- what is left afterwards


@pytest.mark.parametrize("kind", ["bubblewrap", pytest.param("bubblewrap-cold", marks=pytest.mark.slow), "none"], indirect=True)
def test_nothing_stays_alive_or_behind(run: Run, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def remember(*args: Any, **kwargs: Any) -> str:
        made.append(make(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", remember)
    mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    mark = f"left-{os.getpid()}-{kind}"
    own_session = kind != "none"  # without a sandbox, only the process group can be ended
    daemon = f"subprocess.Popen(['sh', '-c', 'sleep 30; true', {mark!r}], start_new_session={own_session})"
    evidence = run(kind, ["import subprocess, os", daemon, "open('file', 'w').write('x')", DOUBLE])
    assert [cell.status for cell in evidence.cells] == ["ok"] * 4
    assert running(mark) == []
    assert [place for place in made if os.path.exists(place)] == []
    assert Path("/proc/mounts").read_text(encoding="utf-8") == mounts


@pytest.mark.slow
def test_a_killed_grader_takes_its_sandbox_along(run: Run, kind: str) -> None:
    mark = f"mark{os.getpid()}"
    cell = f"import subprocess\nsubprocess.run(['sh', '-c', 'sleep 60; true', {mark!r}])"
    program = (
        "from coursekit.grading.collect.run import collect\n"
        f"collect([{cell!r}], [], submission='', unit='', isolation={kind!r})"
    )
    source = str(Path(launch.__file__).parents[3])
    grader = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": source})
    try:
        deadline = time.monotonic() + 30
        while len(running(mark)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(running(mark)) == 2  # the grader itself, whose program text holds the mark, and the shell
    finally:
        grader.send_signal(signal.SIGKILL)
        grader.wait()
    deadline = time.monotonic() + 5
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(mark) == []


# ---- what is said when there is no sandbox


def test_blocked_namespaces_are_named() -> None:
    error = cage.refusal("bwrap: setting up uid map: Permission denied")
    assert error.problem == "The sandbox did not start: bwrap: setting up uid map: Permission denied"
    for word in ("apparmor_restrict_unprivileged_userns", "seccomp=unconfined", "--isolation none"):
        assert word in error.remedy


def test_unknown_isolation_is_refused(run: Run) -> None:
    with pytest.raises(CourseError, match=r"Unknown isolation 'jail'.\nChoose one of: bubblewrap, bubblewrap-cold, none."):
        run("jail", [DOUBLE])
