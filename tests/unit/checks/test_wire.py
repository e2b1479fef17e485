"""Frames come back as they were, or are refused; nothing is allocated, run or guessed on the way."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.checks import wire
from coursekit.checks.snapshot import SENDABLE


def raw(text: bytes, blob: bytes = b"") -> bytes:
    return struct.pack("<II", len(text), len(blob)) + text + blob


def test_round_trip() -> None:
    message = {"a": [1, -0.5, None, True, "é\u2028"], "b": {"c": {}}}
    tensors = {"0": torch.arange(6).reshape(2, 3).T, "empty": torch.zeros(0, 3), "scalar": torch.tensor(1.5)}
    back, beside = wire.unpack(wire.pack(message, tensors))
    assert back == message
    assert set(beside) == set(tensors)
    assert all(torch.equal(beside[name], value) for name, value in tensors.items())


@pytest.mark.parametrize("dtype", sorted(SENDABLE, key=str), ids=str)
def test_every_sendable_dtype_is_sent(dtype: torch.dtype) -> None:
    value = torch.ones(2, 3).to(dtype)
    _, beside = wire.unpack(wire.pack({}, {"x": value}))
    assert beside["x"].dtype == dtype
    assert torch.equal(beside["x"], value)


def test_what_is_only_marked_as_conjugated_or_negated_is_sent_as_it_reads() -> None:
    value = torch.tensor([1 + 2j], dtype=torch.complex64).conj()
    _, beside = wire.unpack(wire.pack({}, {"x": value, "y": value.imag}))
    assert beside["x"].tolist() == [1 - 2j]
    assert beside["y"].tolist() == [-2.0]


def test_a_tensor_without_values_here_is_refused() -> None:
    with pytest.raises(wire.WireError, match="a tensor on `meta` cannot be sent"):
        wire.pack({}, {"x": torch.zeros(2, device="meta")})


def test_tensors_that_share_memory_are_sent() -> None:
    whole = torch.arange(6.0)
    _, beside = wire.unpack(wire.pack({}, {"whole": whole, "again": whole, "part": whole[2:4]}))
    assert beside["part"].tolist() == [2.0, 3.0]


def test_an_odd_dtype_is_named() -> None:
    with pytest.raises(wire.WireError, match=r"a tensor of torch.complex128 cannot be sent"):
        wire.pack({}, {"x": torch.zeros(1, dtype=torch.complex128)})


def test_a_lone_surrogate_does_not_stop_a_frame() -> None:
    assert wire.unpack(wire.pack({"text": "a\ud800b"}))[0]["text"].startswith("a")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut short"),
        (b"\0" * 7, "cut short"),
        (wire.pack({"a": 1})[:-1], "cut short"),
        (wire.pack({"a": 1}) + b"x", "bytes follow the end"),
        (raw(b"[]"), "not an object"),
        (raw(b"{"), "cannot be read: JSONDecodeError"),
        (raw(b'{"a": ' + b"[" * 100_000), "cannot be read: RecursionError"),
        (raw(b'{"a": ' + b"1" * 5000 + b"}"), "cannot be read: ValueError"),
        (raw(b"{}", b"abc"), "header is missing or too large"),
        (raw(b"{}", struct.pack("<Q", 1 << 40) + b"x"), "header is missing or too large"),
        (raw(b"{}", struct.pack("<Q", 2) + b"[]"), "tensors cannot be read"),
        (raw(b"{}", struct.pack("<Q", 100) + b"{}"), "tensors cannot be read"),
    ],
    ids=range(12),
)
def test_damage_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(wire.WireError, match=said):
        wire.unpack(data)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"x": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"x": 3},
    ],
)
def test_lying_tensor_headers_are_refused(header: dict[str, Any]) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(wire.WireError):
        wire.unpack(raw(b"{}", struct.pack("<Q", len(text)) + text + b"\0" * 4))


def test_an_announced_size_is_refused_before_anything_is_read() -> None:
    asked: list[int] = []

    def receive(count: int) -> bytes:
        asked.append(count)
        return struct.pack("<II", 11, 0)

    with pytest.raises(wire.TooLarge, match="announces 11 \\+ 0 bytes, over the limit of 10 \\+ 5"):
        wire.read(receive, max_json=10, max_blob=5)
    assert asked == [8]


def test_too_much_is_not_packed() -> None:
    with pytest.raises(wire.TooLarge):
        wire.pack({"a": "x" * 100}, max_json=100)
    with pytest.raises(wire.TooLarge):
        wire.pack({}, {"x": torch.zeros(100)}, max_blob=400)


def test_nan_has_to_be_encoded_first() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        wire.pack({"a": float("nan")})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_give_a_message_or_an_error(text: bytes, blob: bytes) -> None:
    try:
        message, tensors = wire.unpack(raw(text, blob))
    except wire.WireError:
        return
    assert isinstance(message, dict)
    assert all(type(value) is torch.Tensor for value in tensors.values())
