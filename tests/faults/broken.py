"""A corpus of broken notebooks, made from a whole one: each is (name, bytes). The same each time."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Notebook = dict[str, Any]


def corpus(whole: Notebook) -> Iterator[tuple[str, bytes]]:
    """At least 300 notebooks of every kind of damage that a file or an editor can do."""
    text = json.dumps(whole, indent=1)
    data = text.encode()
    dice = random.Random(1)
    for part in range(40):
        yield f"truncated at {part + 1}/41", data[: len(data) * (part + 1) // 41]
    for number in range(60):
        yield f"bytes overwritten {number}", _overwritten(data, dice)
    for number in range(120):
        yield (
            f"structure changed {number}",
            json.dumps(_restructured(copy.deepcopy(whole), dice)).encode("utf-8", "surrogatepass"),
        )
    for number in range(40):
        yield f"cells shuffled, dropped and doubled {number}", json.dumps(_dealt(copy.deepcopy(whole), dice)).encode()
    for name, change in SHAPES.items():
        made = copy.deepcopy(whole)
        change(made)
        yield name, json.dumps(made).encode("utf-8", "surrogatepass")
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"):
        yield f"encoded as {encoding}", text.replace("ä", "a").encode(encoding, "replace")
    for name, raw in RAW.items():
        yield name, raw


def _overwritten(data: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(dice.choice([1, 3, 30])):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    return bytes(damaged)


JUNK: list[Any] = [
    None,
    True,
    -1,
    1e308,
    "",
    "\ud800",
    "x" * 10_000,
    [],
    {},
    [[]],
    {"a": {"b": []}},
    "<script>",
    "../../etc/passwd",
    2**70,
]


def _restructured(made: Notebook, dice: random.Random) -> Notebook:
    """Replace, remove or rename one to five things anywhere in the tree."""
    for _ in range(dice.randint(1, 5)):
        places = [
            (node, key)
            for node in _containers(made)
            for key in (list(node) if isinstance(node, dict) else range(len(node)))
        ]
        node, key = dice.choice(places)
        action = dice.choice(["replace", "remove", "rename"])
        if action == "replace":
            node[key] = copy.deepcopy(dice.choice(JUNK))
        elif action == "remove":
            del node[key]
        elif isinstance(node, dict):
            node[f"{key}_"] = node.pop(key)
    return made


def _containers(node: Any) -> Iterator[Any]:
    if isinstance(node, (dict, list)):
        if node:
            yield node
        for item in node.values() if isinstance(node, dict) else node:
            yield from _containers(item)


def _dealt(made: Notebook, dice: random.Random) -> Notebook:
    cells = made["cells"]
    dice.shuffle(cells)
    made["cells"] = [copy.deepcopy(cell) for cell in cells for _ in range(dice.choice([0, 1, 1, 1, 2]))]
    return made


def _each_cell(change: Callable[[dict[str, Any]], None]) -> Callable[[Notebook], None]:
    def apply(made: Notebook) -> None:
        for cell in made["cells"]:
            change(cell)

    return apply


def _v3(made: Notebook) -> None:
    cells = made.pop("cells")
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    made.update(nbformat=3, nbformat_minor=0, worksheets=[{"cells": cells}])


def _merged(made: Notebook) -> None:
    text = "\n\n".join("".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code")
    made["cells"] = [{"cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}]


SHAPES: dict[str, Callable[[Notebook], None]] = {
    "nbformat 3": _v3,
    "nbformat 99": lambda made: made.update(nbformat=99),
    "nbformat text": lambda made: made.update(nbformat="four"),
    "no nbformat": lambda made: made.pop("nbformat"),
    "no metadata at all": lambda made: (made.pop("metadata"), _each_cell(lambda cell: cell.pop("metadata"))(made)),
    "metadata is a list": lambda made: (
        made.update(metadata=[]),
        _each_cell(lambda cell: cell.update(metadata=[]))(made),
    ),
    "one id for all cells": _each_cell(lambda cell: cell.update(id="same")),
    "no ids": _each_cell(lambda cell: cell.pop("id")),
    "ids that are not allowed": _each_cell(lambda cell: cell.update(id="ä ö/" * 40)),
    "one grade id for all": _each_cell(
        lambda cell: cell["metadata"].update(nbgrader={"grade_id": "u01-sse-grad", "grade": True, "points": 99})
    ),
    "points are huge": _each_cell(lambda cell: cell["metadata"].get("nbgrader", {}).update(points=1e9)),
    "grade ids of another unit": _each_cell(
        lambda cell: cell["metadata"].get("nbgrader", {}).update(grade_id="u07-sgd")
    ),
    "all cells merged": _merged,
    "unknown kernel": lambda made: made["metadata"].update(
        kernelspec={"name": "cobol", "display_name": "COBOL", "language": "cobol"}
    ),
    "cells of an unknown type": _each_cell(lambda cell: cell.update(cell_type="poem")),
    "raw cells": _each_cell(lambda cell: cell.update(cell_type="raw")),
    "all markdown": _each_cell(lambda cell: cell.update(cell_type="markdown")),
    "all code": _each_cell(lambda cell: cell.update(cell_type="code")),
    "sources are lists of lists": _each_cell(lambda cell: cell.update(source=[["x"], [1]])),
    "sources with null bytes": _each_cell(lambda cell: cell.update(source="\0" + "".join(cell["source"]))),
    "Windows line ends": _each_cell(lambda cell: cell.update(source="".join(cell["source"]).replace("\n", "\r\n"))),
    "tabs": _each_cell(lambda cell: cell.update(source="".join(cell["source"]).replace("    ", "\t"))),
    "outputs that are wrong": _each_cell(
        lambda cell: cell.update(outputs=[{"output_type": "nonsense", "data": 3}, None])
    ),
    "a huge output": lambda made: made["cells"][-1].update(
        outputs=[{"output_type": "stream", "name": "stdout", "text": "x" * 5_000_000}]
    ),
    "a thousand cells": lambda made: made["cells"].extend(
        {"cell_type": "markdown", "metadata": {}, "source": "more"} for _ in range(1000)
    ),
    "attachments": _each_cell(lambda cell: cell.update(attachments={"a.png": {"image/png": "AAAA"}})),
    "surrogates": lambda made: made["cells"].append({"cell_type": "code", "metadata": {}, "source": "s = '\ud83d'"}),
    "cells is an object": lambda made: made.update(cells={"0": made["cells"]}),
    "no cells": lambda made: made.update(cells=[]),
    "nested worksheets": lambda made: made.update(worksheets=[{"cells": made.pop("cells")}, None, {"cells": 3}]),
}
RAW: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t",
    "null": b"null",
    "number": b"42",
    "list": b"[]",
    "zeros": b"\0" * 10_000,
    "png": b"\x89PNG\r\n\x1a\n" + b"x" * 999,
    "zip": b"PK\x03\x04" + b"y" * 999,
    "deep list": b"[" * 50_000,
    "deep object": b'{"cells":' * 20_000,
    "html": b"<!doctype html><html>404</html>",
    "python": b"import torch\nprint(torch.ones(3))\n",
    "big number": b'{"cells": ' + b"9" * 20_000 + b"}",
    "duplicate keys": b'{"cells": [], "cells": [1]}',
    "nan": b'{"cells": NaN, "nbformat": Infinity}',
    "large": b'{"cells": "' + b"z" * (33 << 20) + b'"}',
}
