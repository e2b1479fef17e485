"""What one submission may use; going over a bound costs only the piece that did."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds for one submission.

    Args: cell_seconds, probe_seconds: wall clock of one cell, of one case of one probe.
    notebook_seconds: wall clock of everything, from the moment the runner is ready; no piece gets more than
    half of what is left, so that the pieces after a loop still have their turn.
    grace_seconds: from the polite interrupt to the kill.
    startup_seconds: for a fresh interpreter to import torch.
    cpu_seconds: processor time of all its processes together.
    memory_bytes: resident memory of all its processes together, and address space of one; both beyond what the
    empty runner uses.
    processes, open_files: how many.
    scratch_bytes: the private file system, and one file. shared_bytes: shared memory.
    output_bytes, notebook_output_bytes: what one cell, what all cells show.
    observation_bytes: everything that the probes send back.
    restarts: fresh runners after a crash or a kill.
    """

    cell_seconds: float = 60.0
    probe_seconds: float = 20.0
    notebook_seconds: float = 300.0
    grace_seconds: float = 0.5
    startup_seconds: float = 60.0
    cpu_seconds: int = 300
    memory_bytes: int = 4096 * MIB
    processes: int = 256
    open_files: int = 512
    scratch_bytes: int = 512 * MIB
    shared_bytes: int = 64 * MIB
    output_bytes: int = 1 * MIB
    notebook_output_bytes: int = 8 * MIB
    observation_bytes: int = 32 * MIB
    restarts: int = 3
