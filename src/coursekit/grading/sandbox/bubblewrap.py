"""The command line of a sandbox: what is visible inside, and which protections are on.

Who is root becomes an unprivileged user first.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

import coursekit
from coursekit.data.files import sets_folder
from coursekit.errors import CourseError
from coursekit.grading.sandbox.limits import Limits

NOBODY = "65534"
SCRATCH = "/scratch"  # inside: the one place that can be written; /tmp leads to it unless the course itself lies there
COURSE = "/course"  # inside: the parts of coursekit that a notebook needs
NEEDED = ("torch", "numpy", "IPython", "matplotlib", "safetensors")
# Keys, oracles, intake, judge and gradebook stay outside; what is listed here is what a student has anyway.
PARTS = (
    "__init__.py",
    "console.py",
    "errors.py",
    "checks",
    "data",
    "viz",
    "grading/__init__.py",
    "grading/inside",
)
SYSTEM = ("/usr", "/etc/ld.so.cache", "/etc/alternatives", "/nix/store")
INSTALL = "Install it with `sudo apt install bubblewrap` (or your system's package manager)."
REFUSED = (
    "Then grade again; or give `--isolation none`, which protects nothing, for notebooks that you trust."
)


def environment(scratch: str, coursekit_at: str) -> dict[str, str]:
    """Every variable that student code sees; nothing of the grader's own environment."""
    site = [place for place in _sites() if not place.is_relative_to(sys.prefix)]
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": scratch,
        "TMPDIR": scratch,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join([coursekit_at, *map(str, site)]),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COURSEKIT_SANDBOX": "1",
        "IPYTHONDIR": f"{scratch}/.ipython",
        "MPLCONFIGDIR": f"{scratch}/.matplotlib",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def package() -> Path:
    return Path(coursekit.__file__).parent


def _sites() -> list[Path]:
    """Folders from which the packages that a notebook needs are imported."""
    found = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    for name in NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parent.parent)
    return list(dict.fromkeys(found))


def _shown() -> list[tuple[str, str]]:
    """What is visible inside, read-only: (path here, path inside), outer folders first."""
    base = Path(sys.base_prefix)
    python = [Path(sys.prefix), base, base.resolve(), Path(sys.executable).resolve().parent.parent, *_sites()]
    system = [Path(place) for place in SYSTEM if os.path.exists(place)]
    system += [
        Path(top)
        for top in ("/lib", "/lib64", "/lib32", "/bin", "/sbin")
        if os.path.isdir(top) and not os.path.islink(top)
    ]
    kept: list[Path] = []
    for place in sorted(dict.fromkeys([*system, *python]), key=lambda p: len(p.parts)):
        if not any(place.is_relative_to(outer) for outer in kept):
            kept.append(place)
    shown = [(str(place), str(place)) for place in kept]
    shown += [
        (str(package() / part), f"{COURSE}/coursekit/{part}") for part in PARTS if (package() / part).exists()
    ]
    shown += [(str(sets), f"{COURSE}/coursekit/_sets") for sets in [sets_folder()] if sets.is_dir()]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    return shown + [
        (str(fonts), f"{COURSE}/fonts/{fonts.name}") for fonts in sorted(cache.glob("fontlist-*.json"))[-1:]
    ]


def caged(
    program: Sequence[str], limits: Limits, cleanup: contextlib.ExitStack, about: int, filter_fd: int | None
) -> list[str]:
    """The command line of bubblewrap, as a user who is not root.

    Args: about: where it says which process is the first inside. filter_fd: holds the filter over system calls;
    None for the zygote, whose forks enter namespaces and then load theirs.
    """
    if sys.platform != "linux":
        raise CourseError("The bubblewrap sandbox exists on Linux only.", REFUSED)
    capable()
    shown = _shown()
    if os.getuid() != 0:
        return _bubblewrap(program, limits, shown, about, filter_fd)
    # bwrap as root would leave its inside root for files. Nobody may not enter, say, /root, where Python may
    # live: a mount namespace of our own, gone with the process, shows it what it needs under an open folder.
    stage = tempfile.mkdtemp(prefix="coursekit-", dir=_enterable())
    cleanup.callback(shutil.rmtree, stage, ignore_errors=True)
    os.chmod(stage, 0o755)
    lines = ["set -e", f"mount -t tmpfs -o mode=755,size=1m tmpfs {shlex.quote(stage)}"]
    staged = []
    for number, (source, inside) in enumerate(shown):
        place = f"{stage}/{number}"
        lines.append(f"mkdir {shlex.quote(place)}" if os.path.isdir(source) else f": > {shlex.quote(place)}")
        lines.append(f"mount --rbind {shlex.quote(source)} {shlex.quote(place)}")
        staged.append((place, inside))
    drop = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
    lines.append("exec " + shlex.join([*drop, *_bubblewrap(program, limits, staged, about, filter_fd)]))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]


def _bubblewrap(
    program: Sequence[str], limits: Limits, shown: Sequence[tuple[str, str]], about: int, filter_fd: int | None
) -> list[str]:
    command = [
        "bwrap",
        "--unshare-all",
        "--unshare-user",
        *(() if filter_fd is None else ("--as-pid-1", "--disable-userns", "--seccomp", str(filter_fd))),
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--info-fd",
        str(about),
        "--hostname",
        "grading",
        "--clearenv",
    ]
    if os.getuid() == 0:
        command += ["--uid", NOBODY, "--gid", NOBODY]
    for name, value in environment(SCRATCH, COURSE).items():
        command += ["--setenv", name, value]
    command += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(limits.shared_bytes),
        "--tmpfs",
        "/dev/shm",
        "--size",
        str(limits.scratch_bytes),
        "--tmpfs",
        SCRATCH,
    ]
    for source, inside in shown:
        command += ["--ro-bind", source, inside]
        if inside.startswith(f"{COURSE}/fonts/"):
            command += ["--symlink", inside, f"{SCRATCH}/.matplotlib/{Path(inside).name}"]
    command += [
        word
        for top in ("/lib", "/lib64", "/lib32", "/bin", "/sbin")
        if os.path.islink(top)
        for word in ("--symlink", os.readlink(top), top)
    ]
    if not any(inside.startswith("/tmp/") for _, inside in shown):
        command += ["--symlink", SCRATCH, "/tmp"]
    if any(package().is_relative_to(source) for source, _ in _shown()):
        command += [
            "--tmpfs",
            str(package()),
            "--remount-ro",
            str(package()),
        ]  # installed beside torch: the rest of it and the keys
    return [
        *command,
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        SCRATCH,
        "--",
        sys.executable,
        "-s",
        "-P",
        *program,
    ]


def _enterable() -> str:
    """A folder for temporary files that every user may enter."""
    for place in (tempfile.gettempdir(), "/tmp", "/run", "/var/tmp"):
        here = Path(place).resolve()
        if os.access(here, os.W_OK) and all(
            folder.stat().st_mode & 0o001 for folder in (here, *here.parents)
        ):
            return str(here)
    raise CourseError("No temporary folder that an unprivileged user may enter.", "Make /tmp mode 1777.")


@functools.cache
def capable() -> None:
    """Raise CourseError if a program is missing or too old."""
    for name in ("bwrap", *(("unshare", "setpriv", "mount") if os.getuid() == 0 else ())):
        if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise CourseError(
                f"`{name}` is not installed, so submissions cannot be isolated.",
                f"{INSTALL if name == 'bwrap' else 'Install util-linux.'} {REFUSED}",
            )
    said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False, timeout=20)
    if "--disable-userns" not in said.stdout + said.stderr:
        raise CourseError("bubblewrap is older than 0.8.", f"Install 0.8 or newer. {REFUSED}")
