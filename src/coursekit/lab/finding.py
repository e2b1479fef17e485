"""What one check of the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One check: `missing` is needed and absent, `optional` is absent and can be done without."""

    name: str
    state: Literal["ok", "missing", "optional"]
    found: str
    remedy: str = ""
