"""Read the attack files, and lay one into a submission beside an honest part.

An attack is what a student would type. Its comment says what it goes for and what it would gain; a few `# word: value` lines
say how it is run:
  place: start | end      before the answers, or behind them (the default)
  honest: IDS             exercises answered honestly beside it; default: the first two of u01
  score: N                what may be earned; default: what the honest part alone earns
  outcome: WORD or WORD   the stated outcome; default: graded
  hand-in: yes            the file is not notebook code: `change(notebook)` makes the file that is handed in
  quick: yes              runs in the normal suite, too
  stock: yes              makes sense against stock nbgrader, see compare.py
Lines of `# %%` part cells. Words such as @COURSE@ are replaced by what a student who knows the machine well could know.
"""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GROUPS = ("score", "secrets", "host", "staying_alive", "report")
HONEST = ("u01-two-layer-forward", "u01-sse-grad")
FACT = re.compile(r"^# (place|honest|score|outcome|hand-in|quick|stock): (.+)$")


@dataclass(frozen=True)
class Attack:
    """One attack file. about: its comment. facts: how it is run."""

    path: Path
    about: str
    facts: dict[str, str]
    code: str

    @property
    def group(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return f"{self.group}/{self.path.stem}"

    @property
    def honest(self) -> tuple[str, ...]:
        return tuple(self.facts["honest"].split()) if "honest" in self.facts else HONEST


def read(path: Path) -> Attack:
    about, facts = [], {}
    lines = path.read_text("utf-8").splitlines()
    while lines and lines[0].startswith("#") and not lines[0].startswith("# %%"):
        line = lines.pop(0)
        if match := FACT.match(line):
            facts[match.group(1)] = match.group(2)
        elif "noqa" not in line:
            about.append(line.removeprefix("#").strip())
    return Attack(path, " ".join(about), facts, "\n".join(lines).strip() + "\n")


def every() -> list[Attack]:
    return [read(path) for group in GROUPS for path in sorted((HERE / group).glob("*.py"))]


FIRST = 3  # code cells before the first one of the unit's own: parameters, the look for the course, imports


def short(maker: Any, honest: tuple[str, ...]) -> dict[str, Any]:
    """A notebook with setup, answers and checks only: some answers honest, the others as released."""
    made: dict[str, Any] = maker.filled(lambda e: maker.right(e) if e.id in honest else None)
    cells = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    made["cells"] = cells[:FIRST] + [cell for cell in cells[FIRST:] if "nbgrader" in cell["metadata"]]
    return made


def code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}


def submission(attack: Attack, maker: Any, known: dict[str, str]) -> bytes:
    """The file that is handed in."""
    made = short(maker, attack.honest)
    if "hand-in" in attack.facts:
        changed = runpy.run_path(str(attack.path))["change"](made)
        return changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    text = attack.code
    for word, value in known.items():
        text = text.replace(f"@{word}@", value)
    cells = [code(part) for part in re.split(r"^# %%.*\n", text, flags=re.MULTILINE) if part.strip()]
    at = FIRST if attack.facts.get("place") == "start" else len(made["cells"])
    made["cells"][at:at] = cells
    return json.dumps(made).encode()
