"""What a mutant may use: seconds and memory. An answer with a mistake in it may do anything."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager

MEMORY = 4 << 30  # bytes that a worker may add to what it has at the start


class TimeUp(BaseException):
    """The time limit of a mutant. No Exception, so that a solution's own `except` does not take it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt what runs too long. POSIX only; elsewhere the worker's own limit ends it.

    It rings again and again: a probe takes any exception for an observation, and goes on to its next case.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory() -> None:
    """Give a process that asks for too much memory an exception, not the machine's last page. Linux only."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
