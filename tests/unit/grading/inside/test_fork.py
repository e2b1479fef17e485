"""A fork of the zygote on its way into a sandbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from coursekit.grading.inside import fork, seccomp

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not seccomp.supported(), reason="needs Linux on x86_64 or aarch64")


def test_refused_namespaces_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "NEW", 0x10000200)  # a user namespace that shares its working folder: no kernel makes one
    with pytest.raises(OSError, match="unshare: Invalid argument"):
        fork.apart()


def test_memory_is_in_large_pages_where_the_kernel_can() -> None:
    look = "import re; print(re.search(r'AnonHugePages: +(\\d+)', open('/proc/self/smaps_rollup').read())[1])"
    program = f"from coursekit.grading.inside.fork import huge_pages\nkept = [b'x' * (64 << 10) for _ in range(1000)]\n{look}\nhuge_pages()\n{look}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 1):
        pytest.skip("the kernel joins pages on request since 6.1")
    assert after - before > 30 << 10, "KiB of the 62 MiB that are held"
