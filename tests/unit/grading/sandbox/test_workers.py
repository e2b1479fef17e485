"""Worker processes of a DataLoader work in every kind of sandbox: in cells, in probes, and however they are started."""

from __future__ import annotations

import pytest

from coursekit.errors import CourseError
from coursekit.grading.collect.evidence import Evidence
from coursekit.grading.collect.run import Probe, collect
from coursekit.grading.sandbox import trial
from coursekit.grading.sandbox.limits import Limits

try:
    USABLE, SEEN = trial.usable("bubblewrap")
except CourseError as error:
    USABLE, SEEN = "none", str(error)

DATASET = """
import os, torch
from torch.utils.data import DataLoader, Dataset, TensorDataset
MAIN = os.getpid()
class Rows(Dataset):
    def __len__(self): return 10
    def __getitem__(self, i): return torch.full((50,), float(i)), os.getpid() != MAIN
def total(**options):
    batches = list(DataLoader(Rows(), batch_size=3, num_workers=2, **options))
    assert all(by_worker.all() for _, by_worker in batches)
    return [rows[:, 0].tolist() for rows, _ in batches]
"""
CELLS = [
    DATASET,
    "print(total())",
    "loader = DataLoader(Rows(), batch_size=3, num_workers=2, persistent_workers=True)\n"
    "print([sum(float(r.sum()) for r, _ in loader) for epoch in range(2)])",
    "torch.multiprocessing.set_sharing_strategy('file_system')\nprint(total())\ntorch.multiprocessing.set_sharing_strategy('file_descriptor')",
    "numbers = TensorDataset(torch.arange(6.0))\n"
    "for method in ('spawn', 'forkserver'):\n"
    "    print([b.tolist() for b, in DataLoader(numbers, batch_size=4, num_workers=1, multiprocessing_context=method)])",
    "open('its_dataset.py', 'w').write('class Doubled:\\n    def __len__(self): return 4\\n    def __getitem__(self, i): return 2 * i\\n');\n"
    "from its_dataset import Doubled\n"
    "print([b.tolist() for b in DataLoader(Doubled(), batch_size=2, num_workers=1, multiprocessing_context='spawn')])",
    "some = iter(DataLoader(Rows(), batch_size=2, num_workers=2)); next(some); print('left while at work')",
]
BATCHES = "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0], [9.0]]\n"
SHOWN = [
    "",
    BATCHES,
    "[2250.0, 2250.0]\n",
    BATCHES,
    "[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0]]\n" * 2,
    "[[0, 2], [4, 6]]\n",
    "left while at work\n",
]
PROBE = Probe(
    "u06-rows",
    "def observe(size):\n    return {'rows': [rows[:, 0] for rows, _ in DataLoader(Rows(), batch_size=size, num_workers=2)]}",
    "observe",
    [{"size": 4}, {"size": 5}],
)


@pytest.mark.parametrize("kind", ["bubblewrap", "bubblewrap-cold", "none"])
def test_workers_serve_cells_and_probes(kind: str) -> None:
    if kind != "none" and USABLE != "bubblewrap":
        pytest.skip(f"no sandbox here: {SEEN}")
    found: Evidence = collect(
        CELLS, [PROBE], submission="ab", unit="u00", isolation=kind, limits=Limits(notebook_seconds=200)
    )
    assert found.outcome == "graded"
    said = [
        "".join(o.get("text", str(o.get("evalue", ""))) for o in cell.outputs if o.get("name") != "stderr")
        for cell in found.cells
    ]
    assert said == SHOWN
    rows = [[seen.data.tolist() for seen in case.values["rows"]] for case in found.observed["u06-rows"]]  # type: ignore[union-attr]
    assert rows == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]]
