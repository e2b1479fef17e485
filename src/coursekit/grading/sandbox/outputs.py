"""Let through only outputs that are text or pixels, in nbformat's form and of bounded size."""

from __future__ import annotations

import base64
import binascii
from typing import Any

MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
MOST = 2000  # outputs of one cell
MOST_ESCAPES = 5000  # of one text


def clean(outputs: Any, room: int) -> list[dict[str, Any]]:
    """Rebuild a cell's outputs from untrusted ones; what is not of the agreed form is left out.

    Args: outputs: whatever the runner sent. room: characters that may pass.
    Returns: stream, error, display_data and execute_result; with text/plain, image/png and image/jpeg only.
    """
    passed: list[dict[str, Any]] = []
    for output in outputs[:MOST] if isinstance(outputs, list) else []:
        made = _one(output) if isinstance(output, dict) else None
        if made is None:
            continue
        size = weight([made])
        if size > room:
            if made["output_type"] == "stream":
                passed.append({**made, "text": made["text"][:room]})
            passed.append(notice("the rest of this output is left out"))
            break
        room -= size
        passed.append(made)
    return passed


def weight(outputs: list[dict[str, Any]]) -> int:
    """Characters in the texts and images of some outputs."""
    return sum(_length(value) for output in outputs for value in output.values())


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0


def notice(text: str) -> dict[str, Any]:
    """A line of our own among a cell's outputs."""
    return {"output_type": "stream", "name": "stdout", "text": f"\n[{text}]\n"}


def _text(value: Any) -> str:
    """A text; with very many escape sequences, none stays: nbconvert copies the rest of the text for each."""
    text = value if isinstance(value, str) else ""
    return text if text.count("\x1b") <= MOST_ESCAPES else text.replace("\x1b", "")


def _one(output: dict[str, Any]) -> dict[str, Any] | None:
    kind = output.get("output_type")
    if kind == "stream" and output.get("name") in ("stdout", "stderr"):
        return {"output_type": "stream", "name": output["name"], "text": _text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback")
        return {
            "output_type": "error",
            "ename": _text(output.get("ename"))[:200],
            "evalue": _text(output.get("evalue"))[:4000],
            "traceback": [_text(line) for line in lines[:200]] if isinstance(lines, list) else [],
        }
    if kind in ("display_data", "execute_result"):
        data = _bundle(output.get("data"))
        made: dict[str, Any] = {"output_type": kind, "data": data, "metadata": {}}
        if kind == "execute_result":
            count = output.get("execution_count")
            made["execution_count"] = count if type(count) is int and 0 < count < 1_000_000 else None
        return made if data else None
    return None


def _bundle(data: Any) -> dict[str, str]:
    kept: dict[str, str] = {}
    for kind, value in data.items() if isinstance(data, dict) else ():
        if kind == "text/plain" and isinstance(value, str):
            kept[kind] = _text(value)
        elif kind in MAGIC and isinstance(value, str):
            try:
                raw = base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                continue
            if raw.startswith(MAGIC[kind]):
                kept[kind] = base64.b64encode(raw).decode()
    return kept
