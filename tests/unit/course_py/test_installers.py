"""uv where it can be had, told what pip is configured with; pip where not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CPU = ["--no-deps", "torch==2.13.0+cpu"]
REST = ["-c", "constraints.txt", "-e", "."]
ALWAYS = ["--no-sources", "--index-strategy=unsafe-best-match"]


def uv_calls(checkout: Any) -> list[list[str]]:
    """What uv was told after its own fixed options."""
    calls: list[list[str]] = checkout.calls("uv")
    for call in calls:
        assert call[:2] == ["--python", sys.executable]
        assert call[2:4] == ALWAYS
    return [call[4:] for call in calls]


def test_uv_installs_where_it_is_there(checkout: Any, uv: Path) -> None:
    assert checkout.course.main(["lab"]) == 0
    assert uv_calls(checkout) == [CPU, REST, ["pip"]]
    assert checkout.calls("pip") == []


def test_pip_fetches_uv_where_it_is_not(checkout: Any, monkeypatch: pytest.MonkeyPatch, uv: Path) -> None:
    found = iter([None, str(uv)])
    monkeypatch.setattr(checkout.part("installers"), "find_uv", lambda: next(found))
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls("pip") == [["--only-binary=:all:", "--retries=1", "uv"]]
    assert uv_calls(checkout) == [CPU, REST, ["pip"]]


def test_pip_installs_where_uv_is_not_to_be_had(checkout: Any, capsys: Any) -> None:
    checkout.plan(("uv$", "ERROR: No matching distribution found for uv"))
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls("pip")[1:] == [CPU, REST]
    said = capsys.readouterr().err
    assert "- fetching uv, a fast installer ...\n  not to be had, so pip installs in 0 s\n" in said
    assert "ERROR" not in said


def test_pip_takes_over_where_uv_fails_for_reasons_of_its_own(checkout: Any, capsys: Any, uv: Path) -> None:
    checkout.plan(("^uv .* -e ", "error: unexpected argument '--no-sources' found"))
    assert checkout.course.main(["lab"]) == 0
    assert uv_calls(checkout) == [CPU, REST]
    assert checkout.calls("pip") == [REST]
    assert "  failed in 0 s\n  uv did not manage it; trying with pip.\n" in capsys.readouterr().err


def test_pip_passes_over_a_source_that_uv_cannot_read(checkout: Any, uv: Path) -> None:
    unreadable = "cause: failed to read from file `/wheels/index.html`: Permission denied (os error 13)"
    checkout.plan(("^uv .* -e ", f"error: No solution found when resolving: `hatchling`\n{unreadable}"))
    assert checkout.course.main(["lab"]) == 0
    assert checkout.calls("pip") == [REST]


def test_what_no_installer_can_mend_is_not_tried_twice(checkout: Any, uv: Path) -> None:
    checkout.plan(("^uv .* -e ", "error: No solution found when resolving dependencies"))
    assert checkout.course.main(["lab"]) == 1
    assert checkout.calls("pip") == []


def test_uv_is_told_what_pip_is_configured_with(checkout: Any, uv: Path) -> None:
    checkout.plan(
        index_url="https://mirror.invalid/simple",
        extra_index_urls=["https://more.invalid/simple", "file:///more"],
        find_links=["/wheels"],
        constraints=["/etc/constraints.txt"],
        no_index=True,
        pre=True,
        trusted_hosts=["mirror.invalid"],
        cert="/etc/ca.pem",
        client_cert="/etc/me.pem",
        proxy="http://proxy.invalid:3128",
        timeout=180.0,
        retries=7,
    )
    assert checkout.course.main(["lab"]) == 0
    told = [
        "--index-url=https://mirror.invalid/simple",
        "--extra-index-url=https://more.invalid/simple",
        "--extra-index-url=file:///more",
        *("--find-links=/wheels", "--constraints=/etc/constraints.txt"),
        *("--no-index", "--no-config", "--prerelease=allow"),
    ]
    calls = [call for call in checkout.calls("uv") if "-e" in call]
    assert calls == [["--python", sys.executable, *ALWAYS, "--allow-insecure-host=mirror.invalid", *REST, *told]]
    environment = checkout.environments()[0]
    expected = {
        "UV_HTTP_TIMEOUT": "180",
        "UV_HTTP_RETRIES": "7",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "SSL_CLIENT_CERT": "/etc/me.pem",
        "HTTPS_PROXY": "http://proxy.invalid:3128",
        "HTTP_PROXY": "http://proxy.invalid:3128",
    }
    assert {name: environment.get(name) for name in expected} == expected


def test_without_a_configured_pip_uvs_own_configuration_counts(checkout: Any, uv: Path) -> None:
    assert checkout.course.main(["lab"]) == 0
    assert not any("--no-config" in call for call in uv_calls(checkout))
    assert checkout.environments()[0]["UV_SYSTEM_CERTS"] == "1"  # as pip does


def test_a_given_index_is_asked_alone_by_uv(checkout: Any, uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://more.invalid")
    checkout.plan(find_links=["/wheels"])
    assert checkout.course.main(["lab", "--torch-index", "https://wheels.invalid"]) == 0
    assert uv_calls(checkout)[0] == [*CPU, "--no-config", "--index-url", "https://wheels.invalid"]
    assert "UV_EXTRA_INDEX_URL" not in checkout.environments()[0]


def test_a_python_without_pip_gets_one(checkout: Any) -> None:
    checkout.plan(no_pip=True)
    installers = checkout.part("installers")
    environment = checkout.part("environment")
    environment.prepare_folder(False, 0, {})
    assert installers.find_installers(sys.executable) == []  # the stand-in brings none
    assert checkout.calls() == [["ensurepip"]]


def test_pip_itself_says_how_it_is_configured(checkout: Any, monkeypatch: Any, tmp_path: Path) -> None:
    shutil.rmtree(checkout.root / "pip")  # not the stand-in: this environment's own pip
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nfind-links = /wheels /more\ncert = /etc/ca.pem\n[install]\nconstraint = /c.txt\n", encoding="utf-8"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://more.invalid/simple")
    settings = checkout.part("installers").ask_pip(sys.executable)
    if settings is None:
        pytest.skip("this environment has no pip")
    assert settings["find_links"] == ["/wheels", "/more"]
    assert settings["extra_index_urls"] == ["https://more.invalid/simple"]
    assert settings["cert"] == "/etc/ca.pem"
    assert (settings["no_index"], settings["proxy"] or "", settings["trusted_hosts"]) == (False, "", [])  # None since pip 26
    assert settings["constraints"][-1] == "/c.txt"


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv on the PATH")
def test_uv_knows_the_options(tmp_path: Path, checkout: Any) -> None:
    settings = {"find_links": [str(tmp_path)], "constraints": [], "no_index": True, "trusted_hosts": ["a.invalid"]}
    installer = checkout.part("installers").uv_installer(shutil.which("uv"), {**settings, "pre": True})
    line = installer.line(["--dry-run", "--no-cache", "nothing-like-this"])
    done = subprocess.run(line, env=installer.environment(), capture_output=True, text=True, check=False)
    assert checkout.part("causes").find(done.stderr.splitlines()) is checkout.part("causes").NO_MATCH, done.stderr
