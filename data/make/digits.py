"""Make data/sets/digits.safetensors from the copy of the UCI digits that scikit-learn carries.

Run it in an environment of its own that has scikit-learn, safetensors and numpy: python data/make/digits.py data/sets
The bytes depend on the digits alone, so a second run must give the checksum that SHA256SUMS lists.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from sklearn.datasets import load_digits

ABOUT = (  # one entry of metadata: several come in an order that changes from run to run
    "Optical Recognition of Handwritten Digits, the 1797 test images of 8 x 8 pixels; a pixel counts the inked dots of a 4 x 4 block, "
    "0 to 16. E. Alpaydin and C. Kaynak, UCI Machine Learning Repository (1998), doi 10.24432/C50P49, CC BY 4.0; taken from scikit-learn."
)


def main(folder: Path) -> None:
    """Write the file, and print its line for SHA256SUMS."""
    digits = load_digits()
    tensors = {"images": digits.images.astype(np.uint8), "labels": digits.target.astype(np.uint8)}
    assert tensors["images"].shape == (1797, 8, 8) and tensors["images"].max() == 16
    data = save(tensors, {"about": ABOUT})
    (folder / "digits.safetensors").write_bytes(data)
    print(f"{hashlib.sha256(data).hexdigest()}  digits.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
