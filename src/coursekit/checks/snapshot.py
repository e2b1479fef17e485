"""Plain pictures of what a student's code returned: numbers, strings, lists, dicts, and tensors cut loose from everything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

MAX_DEPTH = 16
MAX_ITEMS = 20_000
MAX_TEXT = 100_000
MAX_BITS = 512  # of an int: beyond, float() and printing it begin to fail
MAX_AXES = 32  # of a tensor: beyond 64, most operations refuse
SENDABLE = frozenset(
    {
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.complex64,
    }
)


@dataclass(frozen=True)
class Seen:
    """A tensor as it was when the probe returned it.

    Args: data: detached, contiguous CPU copy. requires_grad, device: of the original.
    shares: name of the input or earlier output whose memory it shared, if any.
    """

    data: Tensor
    requires_grad: bool = False
    device: str = "cpu"
    shares: str | None = None


@dataclass(frozen=True)
class Opaque:
    """An object that is not plain data; only its type's name leaves."""

    type_name: str


Snapshot: TypeAlias = "None | bool | int | float | str | list[Any] | dict[str, Any] | Seen | Opaque"


@dataclass(frozen=True)
class Failure:
    """An exception that the student's code raised.

    Args: type_name: class name. message: its text, cut at 2000 characters.
    line: the student's own source line, if known. lineno: counted from 1 in the cell. function: where it stands.
    step: which statement of the probe was running, counted from 1; 0 if unknown. operation: what failed there, such as "matmul".
    own: the text is the learner's or the course's (a `raise` or `assert` of theirs), not Python's or a library's.
    """

    type_name: str
    message: str
    line: str = ""
    lineno: int = 0
    function: str = ""
    step: int = 0
    operation: str = ""
    own: bool = False


@dataclass(frozen=True)
class Observed:
    """What one run of a probe on one case gave: values by name, or a failure.

    `lost` names why there is neither (the run was stopped from outside: "timed out", "crashed", "too large").
    """

    values: dict[str, Snapshot] = field(default_factory=dict)
    failure: Failure | None = None
    lost: str | None = None


def _storage(value: Tensor) -> int | None:
    try:
        return value.untyped_storage().data_ptr() or None
    except (RuntimeError, NotImplementedError):  # sparse and meta tensors have no storage to share
        return None


class _Camera:
    """Takes snapshots of one probe's result; remembers which memory belongs to whom."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.owners: dict[int, str] = {}
        self.items = 0
        for name, value in inputs.items():
            self.own(name, value)

    def own(self, name: str, value: Any, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            return  # a list may hold itself
        if isinstance(value, Tensor) and (pointer := _storage(value)) is not None:
            self.owners.setdefault(pointer, name)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.own(name, item, depth + 1)
        elif isinstance(value, dict):
            for item in value.values():
                self.own(name, item, depth + 1)

    def tensor(self, value: Tensor) -> Seen | Opaque:
        if value.layout is not torch.strided or value.device.type == "meta":
            return Opaque(f"{value.layout} tensor on {value.device.type}")
        if value.dtype not in SENDABLE or value.dim() > MAX_AXES:
            return Opaque(f"{value.dtype} tensor")
        pointer = _storage(value)
        owner = self.owners.get(pointer) if pointer is not None else None
        plain = value.detach().as_subclass(Tensor).cpu().resolve_conj().resolve_neg()
        return Seen(
            plain.clone(memory_format=torch.contiguous_format), bool(value.requires_grad), value.device.type, owner
        )

    def take(self, value: Any, depth: int = 0) -> Snapshot:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS:
            return Opaque("a structure that is too large")
        if isinstance(value, Tensor):
            return self.tensor(value)
        if type(value) is int and value.bit_length() > MAX_BITS:
            return Opaque("an int of very many digits")
        if value is None or type(value) in (bool, int, float):
            return value  # type: ignore[no-any-return]
        if isinstance(value, str):
            return str(value)[:MAX_TEXT]
        if isinstance(value, (list, tuple)):
            return [self.take(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {str(key)[:MAX_TEXT]: self.take(item, depth + 1) for key, item in value.items()}
        if hasattr(value, "item") and getattr(value, "shape", None) == () and type(value).__module__ == "numpy":
            return self.take(value.item(), depth + 1)  # a NumPy scalar is a number to everybody but its type
        kind = type(value)
        return Opaque(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")


def picture(result: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Snapshot]:
    """Turn a probe's result into plain snapshots.

    Args: result: name -> anything. inputs: what the probe was given, to see which memory is shared.
    Returns: name -> Snapshot, tensors copied to the CPU.
    """
    camera = _Camera(inputs)
    taken: dict[str, Snapshot] = {}
    for name, value in result.items():
        taken[str(name)] = camera.take(value)
        camera.own(str(name), value)
    return taken


# ---- plain JSON form: tensors are numbered and travel beside the JSON ---------------------------------------------


def encode(value: Snapshot | Tensor, tensors: dict[str, Tensor]) -> Any:
    """Give the JSON form of a snapshot, and add its tensors to `tensors` under "0", "1", …"""
    if isinstance(value, Tensor):
        value = Seen(value.detach().cpu().contiguous())
    if isinstance(value, Seen):
        index = str(len(tensors))
        tensors[index] = value.data
        extra: dict[str, Any] = {"$tensor": index}
        if value.requires_grad:
            extra["grad"] = True
        if value.device != "cpu":
            extra["device"] = value.device
        if value.shares is not None:
            extra["shares"] = value.shares
        return extra
    if isinstance(value, Opaque):
        return {"$opaque": value.type_name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, (list, tuple)):
        return [encode(item, tensors) for item in value]
    if isinstance(value, dict):
        if any(key.startswith("$") for key in value):
            return {"$dict": [[key, encode(item, tensors)] for key, item in value.items()]}
        return {key: encode(item, tensors) for key, item in value.items()}
    return value


def decode(value: Any, tensors: Mapping[str, Tensor], depth: int = 0) -> Snapshot:
    """Rebuild a snapshot from its JSON form; everything is checked, nothing is executed.

    Raises: ValueError: if the form is not one that `encode` writes.
    """
    if depth > MAX_DEPTH + 2:
        raise ValueError("an observation is nested too deeply")
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise ValueError("an observation holds an int of very many digits")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [decode(item, tensors, depth + 1) for item in value]
    if not isinstance(value, dict):
        raise ValueError(f"unexpected {type(value).__name__} in an observation")
    if "$tensor" in value:
        data = tensors.get(str(value["$tensor"]))
        if data is None:
            raise ValueError("an observation names a tensor that was not sent")
        if data.dtype not in SENDABLE or data.dim() > MAX_AXES:
            raise ValueError("an observation holds a tensor that is never sent")
        shares = value.get("shares")
        return Seen(
            data,
            value.get("grad") is True,
            str(value.get("device", "cpu"))[:20],
            None if shares is None else str(shares)[:200],
        )
    if "$opaque" in value:
        return Opaque(str(value["$opaque"])[:200])
    if "$float" in value:
        if value["$float"] not in ("nan", "inf", "-inf"):
            raise ValueError("unexpected number in an observation")
        return float(value["$float"])
    if "$dict" in value:
        pairs = value["$dict"]
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ValueError("a dict in an observation has the wrong form")
        return {str(key): decode(item, tensors, depth + 1) for key, item in pairs}
    return {key: decode(item, tensors, depth + 1) for key, item in value.items()}


def encode_observed(observed: Observed, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Give the JSON form of an observation."""
    form: dict[str, Any] = {"values": encode(observed.values, tensors)}
    if observed.failure is not None:
        form["failure"] = vars(observed.failure).copy()
    if observed.lost is not None:
        form["lost"] = observed.lost
    return form


def decode_observed(form: Any, tensors: Mapping[str, Tensor]) -> Observed:
    """Rebuild an observation. Raises: ValueError: if the form is not one that `encode_observed` writes."""
    if not isinstance(form, dict):
        raise ValueError("an observation is not an object")
    values = decode(form.get("values", {}), tensors)
    if not isinstance(values, dict):
        raise ValueError("an observation's values are not an object")
    failure = None
    if isinstance(raw := form.get("failure"), dict):
        failure = Failure(
            str(raw.get("type_name", ""))[:200],
            str(raw.get("message", ""))[:2000],
            str(raw.get("line", ""))[:400],
            raw["lineno"] if type(raw.get("lineno")) is int else 0,
            str(raw.get("function", ""))[:200],
            raw["step"] if type(raw.get("step")) is int else 0,
            str(raw.get("operation", ""))[:100],
            raw.get("own") is True,
        )
    lost = form.get("lost")
    if values and failure is not None:
        raise ValueError(
            "an observation says that the probe both returned and failed"
        )  # it would be right in every case
    return Observed(values, failure, None if lost is None else str(lost)[:200])


def live(value: Any, device: str = "cpu") -> Any:
    """Make fresh inputs from stored ones: every tensor is a new copy on `device`, so that no run sees another's changes."""
    if isinstance(value, Seen):
        value = value.data
    if isinstance(value, Tensor):
        return value.detach().clone().to(device)
    if isinstance(value, (list, tuple)):
        return [live(item, device) for item in value]
    if isinstance(value, dict):
        return {key: live(item, device) for key, item in value.items()}
    return value
