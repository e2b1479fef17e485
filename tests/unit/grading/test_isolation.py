"""Nothing is read, written or left behind outside; forged frames harm only their own notebook."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.errors import CourseError
from coursekit.grading import bubblewrap, isolation, zygote_client
from coursekit.grading.collect import Evidence, Probe, collect
from coursekit.grading.limits import Limits

HELD, SEEN, REMEDY = isolation.try_bubblewrap()
skip = pytest.mark.skipif(not HELD, reason=f"no sandbox here: {SEEN} {REMEDY}")
KINDS = [pytest.param("bubblewrap", marks=skip), pytest.param("bubblewrap-cold", marks=[skip, pytest.mark.slow])]


def sandboxed(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in both sandboxes."""
    return pytest.mark.parametrize("kind", KINDS)(test)


DOUBLE = "def double(x): return 2 * x"
QUICK = Limits(cell_seconds=2, probe_seconds=2, notebook_seconds=30, grace_seconds=0.3, restarts=1)


def run(kind: str, cells: list[str], names: tuple[str, ...] = ("double",)) -> Evidence:
    source = "def observe(x):\n    return {{'y': {}(x)}}"
    probes = [Probe(f"u00-{name}", source.format(name), "observe", [{"x": 1.0}]) for name in names]
    return collect(cells, probes, submission="ab", unit="u00", isolation=kind, limits=QUICK)


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


def test_a_sandbox_that_starts_also_holds() -> None:
    assert "does not hold" not in SEEN, SEEN        # a warm one that leaks would be replaced by a cold one: that is said here


@sandboxed
def test_no_network_no_secrets_no_writing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("planted-secret", "utf-8")
    monkeypatch.setenv("PLANTED", "planted-secret")
    repository = Path(isolation.__file__).parents[3]
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
            "import coursekit.grading.collect",
            "import socket; print(os.getuid() == 0, socket.gethostname())",
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
    assert text(evidence, 8).split() == ["False", "grading"]
    assert not (tmp_path / "planted").exists()
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


def test_isolation_none_still_hides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "planted-secret")
    look = (
        "print('PLANTED' in os.environ, os.environ['COURSEKIT_SANDBOX'], os.getcwd() == os.environ['HOME'])"
    )
    assert text(run("none", ["import os", look], ()), 1) == "False 1 True\n"


# ---- what is left afterwards


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_nothing_stays_alive_or_behind(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


@sandboxed
@pytest.mark.slow
def test_a_killed_grader_takes_its_sandbox_along(kind: str) -> None:
    mark = f"mark{os.getpid()}"
    cell = f"import subprocess\nsubprocess.run(['sh', '-c', 'sleep 60; true', {mark!r}])"
    program = (
        "from coursekit.grading.collect import collect\n"
        f"collect([{cell!r}], [], submission='', unit='', isolation={kind!r})"
    )
    source = str(Path(isolation.__file__).parents[2])
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


# ---- frames that nobody asked for

FORGE = """
import json, os, socket, stat, struct, sys
def frame(message, blob=b""):
    text = json.dumps(message).encode()
    return struct.pack("<II", len(text), len(blob)) + text + blob
def sockets():
    for number in range(3, 512):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode): yield number
        except OSError: pass
def forge(data):
    for number in sockets():
        os.set_blocking(number, False)
        os.write(number, data)
        os.set_blocking(number, True)
assert list(sockets())
"""
FORGERIES = {
    "a frame": "frame({'op': 'cell', 'nonce': 'x', 'status': 'ok', 'outputs': []})",
    "a probe's frame": "frame({'op': 'probe', 'nonce': 'x', 'observed': {'values': {'y': 2.0}}})",
    "a huge header": "struct.pack('<II', 2 ** 32 - 1, 2 ** 32 - 1)",
    "half a header": "b'abc'",
    "no JSON": "struct.pack('<II', 3, 0) + b'abc'",
    "a list": "struct.pack('<II', 2, 0) + b'[]'",
    "deep JSON": "struct.pack('<II', 100000, 0) + b'[' * 100000",
    "bad tensors": "frame({}, b'\\xff' * 64)",
    "a flood": "b'x' * 150_000",
}


@sandboxed
@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(text, id=name, marks=() if name == "a frame" else pytest.mark.slow)
        for name, text in FORGERIES.items()
    ],
)
def test_forged_frames_harm_only_their_own_cell(kind: str, forged: str) -> None:
    evidence = run(kind, [DOUBLE, FORGE, f"forge({forged})", "a = 1"])
    assert evidence.cells[2].status in ("crashed", "too large")
    assert evidence.cells[3].status == "ok"
    assert evidence.observed["u00-double"][0].values == {"y": 2.0}


@sandboxed
def test_a_forged_answer_is_never_another_exercises(kind: str) -> None:
    forging = (
        "def double(x):\n"
        "    forge(frame({'op': 'probe', 'nonce': 'x', 'observed': {'values': {'y': 'forged'}}}))\n"
        "    return 2 * x"
    )
    evidence = run(kind, [FORGE, forging, "def other(x): return 3 * x"], names=("double", "other"))
    assert evidence.observed["u00-double"][0].lost == "crashed"
    assert evidence.observed["u00-other"][0].values == {"y": 3.0}


@sandboxed
@pytest.mark.slow
def test_a_frame_that_waits_for_the_question_is_no_answer(kind: str) -> None:
    later = (
        "import threading, time\n"
        "def late():\n    time.sleep(0.3)\n    forge(frame({'op': 'cell', 'nonce': 'x', 'status': 'ok'}))\n"
        "threading.Thread(target=late, daemon=True).start()"
    )
    evidence = run(kind, [DOUBLE, FORGE, later, "time.sleep(0.6)", "a = 1"])
    assert [cell.status for cell in evidence.cells[2:4]] == ["ok", "crashed"]


@sandboxed
@pytest.mark.slow
def test_a_closed_socket_and_a_patched_protocol_are_crashes(kind: str) -> None:
    closed = run(kind, [DOUBLE, FORGE, "os.closerange(3, 512)", "a = 1"])
    assert [cell.status for cell in closed.cells] == ["ok", "ok", "crashed", "ok"]
    patch = (
        "import coursekit.grading.runner as r\n"
        "r.encode_observed = lambda observed, beside: {'values': {'y': {'$tensor': 'nowhere'}}}"
    )
    assert run(kind, [DOUBLE, patch]).observed["u00-double"][0].lost == "crashed"


# ---- what is said when there is no sandbox


@pytest.fixture
def fresh() -> Iterator[None]:
    zygote_client.close()
    bubblewrap.capable.cache_clear()
    isolation.tried.cache_clear()
    yield
    bubblewrap.capable.cache_clear()
    isolation.tried.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap exists on Linux only")
@pytest.mark.usefixtures("fresh")
def test_without_bubblewrap_grading_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name, path: None if name == "bwrap" else name)
    with pytest.raises(CourseError) as caught:
        run("bubblewrap-cold", [DOUBLE])
    assert caught.value.problem == "`bwrap` is not installed, so submissions cannot be isolated."
    assert "sudo apt install bubblewrap" in caught.value.remedy
    assert "--isolation none" in caught.value.remedy
    works, seen, remedy = isolation.try_bubblewrap()
    assert (works, seen, remedy) == (False, caught.value.problem, caught.value.remedy)


def test_blocked_namespaces_are_named() -> None:
    error = isolation.refusal("bwrap: setting up uid map: Permission denied")
    assert error.problem == "The sandbox did not start: bwrap: setting up uid map: Permission denied"
    for word in ("apparmor_restrict_unprivileged_userns", "seccomp=unconfined", "--isolation none"):
        assert word in error.remedy


def test_unknown_isolation_is_refused() -> None:
    with pytest.raises(CourseError, match=r"Unknown isolation 'jail'.\nChoose one of: bubblewrap, bubblewrap-cold, none."):
        run("jail", [DOUBLE])
