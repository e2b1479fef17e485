"""One frame: u32 JSON length, u32 blob length, JSON, safetensors. Used for keys, evidence and the sandbox's socket.

Reading never unpickles or evaluates anything: JSON gives structure, safetensors gives raw numbers.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

HEADER = struct.Struct("<II")
MAX_JSON = 8 << 20
MAX_BLOB = 128 << 20
MAX_TENSOR_HEADER = 256 << 10  # a header of 100,000 entries takes 0.8 s to parse
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
HALF = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)  # a lone surrogate: JSON can say it, no UTF-8 file can hold it


class WireError(ValueError):
    """A frame that is too large, cut short, or not of the agreed form."""


class TooLarge(WireError):
    """A frame over the limits."""


def pack(
    message: dict[str, Any],
    tensors: dict[str, Tensor] | None = None,
    max_json: int = MAX_JSON,
    max_blob: int = MAX_BLOB,
) -> bytes:
    """Write one frame.

    Args: message: JSON-able. tensors: name -> CPU tensor.
    Raises: TooLarge: if the frame would be over the limits. WireError: if a dtype has no form in safetensors.
    """
    return frame(message, blob(tensors or {}), max_json, max_blob)


def blob(tensors: dict[str, Tensor]) -> bytes:
    """Write the tensors of a frame. Raises: WireError: if a dtype has no form in safetensors, or a tensor has no values here.

    The bytes are those of safetensors.torch.save, which takes ten times as long to get there (measured with 94 small tensors).
    """
    if not tensors:
        return b""
    from safetensors import SafetensorError, TensorSpec, serialize

    copies = {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    specs = {}
    for name, value in copies.items():
        if value.device.type != "cpu":  # of others, there is no address here to read from
            raise WireError(f"a tensor on `{value.device}` cannot be sent")
        try:
            dtype = str(value.dtype).removeprefix("torch.")
            specs[name] = TensorSpec(dtype=dtype, shape=value.shape, data_ptr=value.data_ptr(), data_len=value.nbytes)
        except SafetensorError:
            raise WireError(f"a tensor of {value.dtype} cannot be sent") from None
    return bytes(serialize(specs))


def frame(message: dict[str, Any], blob: bytes, max_json: int = MAX_JSON, max_blob: int = MAX_BLOB) -> bytes:
    """Write one frame whose tensors are written already. Raises: TooLarge."""
    text = json.dumps(message, allow_nan=False, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(text) > max_json or len(blob) > max_blob:
        raise TooLarge(f"a frame of {len(text)} + {len(blob)} bytes is over the limit of {max_json} + {max_blob}")
    return HEADER.pack(len(text), len(blob)) + text + blob


def read(
    receive: Callable[[int], bytes], max_json: int = MAX_JSON, max_blob: int = MAX_BLOB, max_parts: int | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read one frame through `receive(n)`, which returns exactly n bytes or raises.

    Args: max_parts: of the JSON. 8 MB of empty lists take 25 times that once read, and seconds to walk through.
    Raises: WireError: if sizes, JSON or tensors are not acceptable.
    """
    json_length, blob_length = HEADER.unpack(receive(HEADER.size))
    if json_length > max_json or blob_length > max_blob:
        raise TooLarge(
            f"a frame announces {json_length} + {blob_length} bytes, over the limit of {max_json} + {max_blob}"
        )
    text = receive(json_length)
    blob = receive(blob_length) if blob_length else b""
    if max_parts is not None and text.count(b",") > max_parts and _TEXT.sub(b"", text).count(b",") > max_parts:
        raise TooLarge(f"a frame's JSON has more than {max_parts} parts")
    if b"\\u" in text:  # `pack` never writes one
        text = HALF.sub(rb"\1?", text)
    try:
        message = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame's JSON cannot be read: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise WireError("a frame's JSON is not an object")
    return message, _tensors(blob)


def unpack(data: bytes, max_json: int = MAX_JSON, max_blob: int = MAX_BLOB) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read one frame from bytes; it must fill them exactly."""
    position = 0

    def receive(count: int) -> bytes:
        nonlocal position
        part = data[position : position + count]
        position += count
        if len(part) < count:
            raise WireError("a frame is cut short")
        return part

    result = read(receive, max_json, max_blob)
    if position != len(data):
        raise WireError("bytes follow the end of a frame")
    return result


def _tensors(blob: bytes) -> dict[str, Tensor]:
    if not blob:
        return {}
    from safetensors import SafetensorError
    from safetensors.torch import load

    if len(blob) < 8 or int.from_bytes(blob[:8], "little") > MAX_TENSOR_HEADER:
        raise WireError("a frame's tensor header is missing or too large")
    try:
        return load(blob)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError, TypeError) as error:
        raise WireError(f"a frame's tensors cannot be read: {type(error).__name__}") from None
