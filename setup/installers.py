"""uv and pip behind one door: uv where it can be had, since it takes seconds, and pip where not.

uv does not read pip's configuration, so pip is asked for it and uv is told: a school's mirror, a folder of wheels,
a certificate count whichever of them installs.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

from setup.causes import DISK, NO_MATCH, Cause, find
from setup.place import PYTHON, ROOT
from setup.running import run_logged, say

# Run by the Python that has pip: what its files, variables and defaults amount to, as pip itself works it out.
ASK_PIP = """
import json, os
from pip._internal.commands import create_command
from pip._internal.models.index import PyPI
chosen, _ = create_command("install").parse_args([])
names = "extra_index_urls find_links no_index constraints cert client_cert proxy trusted_hosts timeout retries pre"
settings = {name: getattr(chosen, name) for name in names.split()}
settings["index_url"] = None if chosen.index_url == PyPI.simple_url else chosen.index_url
settings["cert"] = chosen.cert or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
print(json.dumps(settings))
"""
# What may send pip or uv elsewhere than to the one index that is asked for.
SOURCES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONSTRAINT"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"),
)

PIPS_RETRIES = 5  # pip's own number takes 8 s; uv would wait for 50 s, and has one of its own


class Installer(NamedTuple):
    name: str
    command: list[str]  # up to `install`
    usual: list[str]  # options that name the configured sources
    alone: list[str]  # options that shut them out
    no_index: bool  # configured to use no index at all
    variables: dict[str, str]

    def line(self, arguments: Sequence[str], index: str | None = None) -> list[str]:
        """The command that installs, from the configured sources or from one index alone."""
        sources = self.usual if index is None else [*self.alone, "--index-url", index]
        return [*self.command, *arguments, *sources]

    def environment(self, index: str | None = None) -> dict[str, str]:
        merged = {**os.environ, **self.variables}
        if index is not None:
            merged = {name: value for name, value in merged.items() if name not in SOURCES}
            merged.update({"PIP_CONFIG_FILE": os.devnull, "UV_HTTP_RETRIES": "2"})
        return merged


class InstallFailed(Exception):
    """An installer gave up: which one, the cause if it is a known one, and the end of what it said."""

    def __init__(self, name: str, cause: Cause | None, lines: list[str]) -> None:
        super().__init__(name, cause, lines)
        self.name, self.cause, self.lines = name, cause, lines


def ask_pip(python: str) -> dict[str, Any] | None:
    """What the pip of this Python is configured with; None without a pip that can say so."""
    command = [python, "-c", ASK_PIP]
    asked = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    try:
        return dict(json.loads(asked.stdout)) if asked.returncode == 0 else None
    except ValueError:
        return None


def find_uv() -> str | None:
    """A uv that starts: the environment's own, or one on the PATH."""
    for candidate in (shutil.which("uv", path=str(PYTHON.parent)), shutil.which("uv")):
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def pip_installer(python: str, settings: dict[str, Any]) -> Installer:
    """The pip of `python`, installing into .venv."""
    network = [f"--{name}={settings[key]}" for name, key in (("cert", "cert"), ("proxy", "proxy")) if settings.get(key)]
    network += [f"--trusted-host={host}" for host in settings.get("trusted_hosts", ())]
    network += [f"--timeout={int(settings['timeout'])}"] if "timeout" in settings else []
    elsewhere = [] if python == str(PYTHON) else ["--python", str(PYTHON)]
    return Installer(
        name="pip",
        command=[python, "-m", "pip", "--no-input", *elsewhere, "install"],
        usual=[],
        alone=["--isolated", "--retries=2", *network],
        no_index=bool(settings.get("no_index")),
        variables={"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0", "PYTHONUTF8": "1"},
    )


def uv_installer(uv: str, settings: dict[str, Any]) -> Installer:
    """uv, told what pip is configured with; with nothing to tell, its own configuration counts."""
    usual = [f"--index-url={settings['index_url']}"] if settings.get("index_url") else []
    for option, name in (
        ("--extra-index-url", "extra_index_urls"),
        ("--find-links", "find_links"),
        ("--constraints", "constraints"),
    ):
        usual += [f"{option}={value}" for value in settings.get(name, ())]
    usual += ["--no-index"] if settings.get("no_index") else []
    usual += ["--no-config"] if usual else []
    usual += ["--prerelease=allow"] if settings.get("pre") else []
    variables = {"UV_HTTP_TIMEOUT": str(max(30, int(settings.get("timeout", 0))))}
    if settings.get("retries", PIPS_RETRIES) != PIPS_RETRIES:
        variables["UV_HTTP_RETRIES"] = str(settings["retries"])
    if settings.get("cert"):
        variables["SSL_CERT_FILE"] = settings["cert"]
    else:
        variables["UV_SYSTEM_CERTS"] = "1"  # as pip does
    if settings.get("client_cert"):
        variables["SSL_CLIENT_CERT"] = settings["client_cert"]
    if settings.get("proxy"):
        variables.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), settings["proxy"]))
    return Installer(
        name="uv",
        # pip takes the best version that any source has; uv would stop at the first source that has the package.
        command=[uv, "pip", "install", "--python", str(PYTHON), "--no-sources", "--index-strategy=unsafe-best-match"]
        + [f"--allow-insecure-host={host}" for host in settings.get("trusted_hosts", ())],
        usual=usual,
        alone=["--no-config"],
        no_index=bool(settings.get("no_index")),
        variables=variables,
    )


def find_installers(base: str) -> list[Installer]:
    """What can install into .venv, the best first: uv, fetched by pip if need be, then pip."""
    python, settings, uv = base, ask_pip(base), find_uv()
    if settings is None:
        python = str(PYTHON)
        if ask_pip(python) is None and importlib.util.find_spec("ensurepip"):
            run_logged("adding pip", [python, "-m", "ensurepip"])
        settings = ask_pip(python)
    found = [] if settings is None else [pip_installer(python, settings)]
    if uv is None and found:
        pip = found[0]
        fetch = pip.line(["--only-binary=:all:", "--retries=1", "uv"])
        label = "fetching uv, a fast installer"
        run_logged(label, fetch, environment=pip.environment(), otherwise="not to be had, so pip installs")
        uv = find_uv()
    return [uv_installer(uv, settings or {}), *found] if uv else found


def install(
    label: str,
    installers: list[Installer],
    arguments: Sequence[str],
    index: str | None = None,
    otherwise: str = "failed",
) -> None:
    """Install with the first of the installers; one that fails for reasons of its own is dropped from the list.

    Raises: InstallFailed: the last one failed, or the disk is full, or there is nothing that fits.
    """
    while True:
        installer = installers[0]
        line, environment = installer.line(arguments, index), installer.environment(index)
        outcome = run_logged(label, line, environment=environment, otherwise=otherwise)
        if outcome.worked:
            return
        cause = find(outcome.lines)
        if len(installers) == 1 or cause in (DISK, NO_MATCH):
            raise InstallFailed(installer.name, cause, outcome.lines)
        # pip may know a certificate that uv does not, and goes on where one of several sources does not answer.
        say(f"  {installer.name} did not manage it; trying with {installers[1].name}.")
        installers.pop(0)
