"""How well u08's networks read fonts that they have not seen: trains with the unit's own `main`, measures on autograder/heldout.

    python benchmarks/letters.py --setting fast            what a submission's `u08-main` does
    python benchmarks/letters.py --setting lenet           all pictures, 10 epochs
    python benchmarks/letters.py --setting resnet8         all pictures, 10 epochs
    python benchmarks/letters.py --checkpoint letters.pt   a student's checkpoint of a full training

docs/calibration.md holds what came out, and how the bars follow from it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import tempfile
import time
from pathlib import Path

import torch

from coursekit.build.compile import Compiler
from coursekit.build.source import read
from coursekit.data.letters import extract
from coursekit.data.tree import sample

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "fast": "--model lenet --epochs 4 --batch-size 16 --lr 0.004",
    "lenet": "--model lenet --epochs 10 --lr 0.003",
    "resnet8": "--model resnet8 --epochs 10 --lr 0.01",
}
FULL = 0.2043, 0.3736  # mean and std of all cleaned training pictures


def unit() -> Compiler:
    """The unit's reference functions, and its key."""
    return Compiler.of(read(ROOT / "solutions" / "u08_letters.py"), ROOT / "autograder" / "u08_letters")


def share(compiler: Compiler, trained: dict[str, torch.Tensor], fast: bool) -> float:
    """Held-out accuracy of trained parameters, LeNet's or ResNet8's by their names."""
    module = compiler.modules["main.py"]
    network = compiler.names["LeNet" if "fc3.weight" in trained else "ResNet8"]()
    return float(module.held_out_share(network, trained, *((module.MEAN, module.STD) if fast else FULL)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--setting", choices=list(SETTINGS), default="fast")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--checkpoint", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    compiler = unit()
    if given.checkpoint:
        print(f"{share(compiler, torch.load(given.checkpoint, weights_only=True)['model'], False):.4f}")
        return
    print(f"{given.setting}: {SETTINGS[given.setting]}; torch {torch.__version__}, {platform.machine()}, 1 thread")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fast = given.setting == "fast"
        roots = stack.enter_context(sample(60)) if fast else [extract(folder) / split for split in ("train", "valid")]
        for seed in range(given.seeds):
            began, said = time.process_time(), io.StringIO()
            words = [
                *map(str, roots),
                *SETTINGS[given.setting].split(),
                "--seed",
                str(seed),
                "--out",
                str(folder / f"{seed}.pt"),
            ]
            with contextlib.redirect_stdout(said):
                compiler.names["main"](words)
            trained = torch.load(folder / f"{seed}.pt", weights_only=True)["model"]
            valid = json.loads(said.getvalue())["valid_accuracy"]
            seconds = time.process_time() - began
            print(
                f"seed {seed}: valid {valid:.4f}, held out {share(compiler, trained, fast):.4f}, {seconds:.1f} s of one core",
                flush=True,
            )


if __name__ == "__main__":
    main()
