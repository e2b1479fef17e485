"""Snapshots are plain and stay as they were; their JSON form comes back the same, no other is accepted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from coursekit.checks import wire
from coursekit.checks.snapshot import (
    MAX_DEPTH,
    MAX_ITEMS,
    Failure,
    Observed,
    Opaque,
    Seen,
    decode,
    decode_observed,
    encode,
    encode_observed,
    live,
    picture,
)


def sent(value: Any) -> Any:
    """A value's way through a frame."""
    tensors: dict[str, torch.Tensor] = {}
    form, beside = wire.unpack(wire.pack({"value": encode(value, tensors)}, tensors))
    return decode(form["value"], beside)


def test_a_tensor_is_copied_and_described() -> None:
    value = torch.arange(6.0).reshape(2, 3).T.requires_grad_()
    seen = picture({"y": value}, {})["y"]
    assert isinstance(seen, Seen)
    with torch.no_grad():
        value.zero_()
    assert seen.data.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert (seen.requires_grad, seen.device, seen.shares) == (True, "cpu", None)
    assert seen.data.is_contiguous() and not seen.data.requires_grad


def test_shared_memory_is_seen() -> None:
    x, deep = torch.ones(2, 3), torch.ones(2)
    made = torch.zeros(3)
    seen = picture({"view": x.T, "made": made, "again": made[1:], "deep": deep, "free": x + 1}, {"x": x, "d": [deep]})
    assert [value.shares for value in seen.values() if isinstance(value, Seen)] == [
        "x",
        None,
        "made",
        "d",
        None,
    ]


class Liar(torch.Tensor):
    """A tensor that answers everything with True."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("eq", "allclose", "equal"):
            return True
        return super().__torch_function__(func, types, args, kwargs or {})


class Agreeable:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


def test_a_subclass_leaves_as_a_plain_tensor() -> None:
    seen = picture({"y": torch.ones(2).as_subclass(Liar)}, {})["y"]
    assert isinstance(seen, Seen)
    assert type(seen.data) is torch.Tensor
    assert not torch.equal(seen.data, torch.zeros(2))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Agreeable(), f"{Agreeable.__module__}.Agreeable"),
        ({1, 2}, "set"),
        (np.ones(3), "numpy.ndarray"),
        (torch.ones(2).to_sparse(), "torch.sparse_coo tensor on cpu"),
        (torch.ones(2, device="meta"), "torch.strided tensor on meta"),
        (torch.ones(2, dtype=torch.complex128), "torch.complex128 tensor"),
        (10**200, "an int of very many digits"),
        (1j, "complex"),
    ],
)
def test_other_objects_leave_only_their_types_name(value: Any, name: str) -> None:
    assert picture({"y": value}, {})["y"] == Opaque(name)


def test_plain_values_stay() -> None:
    value = {"a": [1, True, None, "é", (2.5, -3)], 4: {"$x": math.inf}}
    assert picture({"y": value}, {})["y"] == {"a": [1, True, None, "é", [2.5, -3]], "4": {"$x": math.inf}}
    assert picture({"y": np.float32(0.5)}, {})["y"] == 0.5


def test_depth_and_length_are_bounded() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    assert "Opaque" in str(sent(picture({"y": deep}, {})["y"]))
    seen = picture({"y": list(range(2 * MAX_ITEMS))}, {})["y"]
    assert isinstance(seen, list)
    assert sum(not isinstance(item, Opaque) for item in seen) < MAX_ITEMS
    circle: list[Any] = []
    circle.append(circle)
    assert picture({"y": circle}, {})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.5,
        "é",
        [],
        {},
        {"a": [1, {"b": "c"}]},
        {"$tensor": "0", "b": 1},
        Opaque("set"),
        math.inf,
        -math.inf,
    ],
)
def test_json_round_trip(value: Any) -> None:
    assert sent(value) == value


def test_json_round_trip_of_nan_and_tensors() -> None:
    assert math.isnan(sent(math.nan))
    back = sent([Seen(torch.ones(2), True, "cuda", "x"), torch.zeros(1)])
    assert (back[0].requires_grad, back[0].device, back[0].shares) == (True, "cuda", "x")
    assert back[0].data.tolist() == [1.0, 1.0]
    assert back[1].data.tolist() == [0.0]


NESTED: Any = 1
for _ in range(MAX_DEPTH + 10):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "form",
    [
        {"$tensor": "7"},
        {"$tensor": ["0"]},
        {"$float": "1e9"},
        {"$float": ["nan"]},
        {"$dict": 3},
        {"$dict": [1]},
        {"$dict": [[1]]},
        {"$dict": {"a": 1}},
        NESTED,
        1 << 600,
        object(),
    ],
)
def test_other_forms_are_refused(form: Any) -> None:
    with pytest.raises(ValueError, match="observation"):
        decode(form, {"0": torch.ones(1)})


@pytest.mark.parametrize("form", [None, 3, [], {"values": []}, {"values": 3}, {"values": {"$opaque": "x"}}])
def test_other_observations_are_refused(form: Any) -> None:
    with pytest.raises(ValueError, match="observation"):
        decode_observed(form, {})


@pytest.mark.parametrize(
    "observed",
    [
        Observed({"a": 1}),
        Observed(failure=Failure("ValueError", "no", "x()", 3, "f")),
        Observed(lost="timed out"),
    ],
)
def test_observations_come_back(observed: Observed) -> None:
    assert decode_observed(encode_observed(observed, {}), {}) == observed


def test_odd_fields_of_an_observation_become_text() -> None:
    back = decode_observed({"failure": {"type_name": 3, "lineno": "9", "message": "x" * 9000}, "lost": 5}, {})
    assert back.failure == Failure("3", "x" * 2000, "", 0, "")
    assert back.lost == "5"


def test_live_inputs_are_fresh_every_time() -> None:
    stored = {"x": Seen(torch.ones(2)), "list": [torch.zeros(1)], "n": 3}
    first, second = live(stored), live(stored)
    first["x"].zero_()
    first["list"][0].fill_(9)
    assert second["x"].tolist() == [1.0, 1.0]
    assert second["list"][0].tolist() == [0.0]
    assert second["n"] == 3
