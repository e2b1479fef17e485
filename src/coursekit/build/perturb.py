"""Compute as another machine would: another number of threads, and last digits that differ wherever processors may round differently.

IEEE fixes the result of one addition or product, not the order of a sum, nor the last digit of exp. So results of sums, matrix products
and transcendental functions get a small error here. It follows from the value alone: equal numbers stay equal, and a number of few
digits (a count, a half, a sum of whole numbers), which every processor computes exactly, stays as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

SIZE = 4  # roundings; sums of a few hundred float32 terms differ by about as much between processors
SHORT = {torch.float32: 12, torch.float64: 24}  # low bits that are all zero in a number of few digits
BITS = {torch.float32: torch.int32, torch.float64: torch.int64}

# Sums: terms of both signs may cancel, so an entry is off by a share of the result's usual size.
SUMS = """
mm addmm bmm baddbmm addbmm mv addmv dot vdot addr linear convolution convolution_backward mkldnn_convolution sum mean
nanmean cumsum logsumexp logcumsumexp _softmax_backward_data _log_softmax_backward_data native_batch_norm
native_batch_norm_backward _native_batch_norm_legit native_layer_norm native_layer_norm_backward native_group_norm
avg_pool2d avg_pool2d_backward _adaptive_avg_pool2d mse_loss_backward binary_cross_entropy
binary_cross_entropy_with_logits nll_loss_forward smooth_l1_loss huber_loss randn normal
"""
# Functions, and sums that are never below zero: an entry is off by a share of itself.
FUNCTIONS = """
prod cumprod var std var_mean std_mean norm linalg_vector_norm linalg_norm dist cdist mse_loss addcmul addcdiv lerp
_softmax _log_softmax logaddexp logaddexp2 softplus softplus_backward exp exp2 expm1 log log2 log10 log1p sin cos tan
asin acos atan atan2 sinh cosh tanh tanh_backward sigmoid sigmoid_backward log_sigmoid_forward log_sigmoid_backward
erf erfc erfinv lgamma digamma gelu gelu_backward silu silu_backward elu elu_backward rsqrt reciprocal
"""

SUM_NAMES, FUNCTION_NAMES = frozenset(SUMS.split()), frozenset(FUNCTIONS.split())


def shifted(value: Tensor, sums: bool) -> Tensor:
    """The numbers of a tensor, each off by up to SIZE roundings, which follow from its own bits."""
    if value.dtype not in BITS or not value.numel():
        return value
    bits = value.contiguous().view(BITS[value.dtype])
    low = SHORT[value.dtype]
    mixed = (bits ^ (bits >> 7)) * 0x9E3779B1  # a multiplicative hash; only its middle bits are used
    step = ((mixed >> 13) & 0xF).remainder(2 * SIZE + 1) - SIZE
    exact = ((bits & ((1 << low) - 1)) == 0) | ~torch.isfinite(value)
    size = value.abs()
    if sums:
        size = size.clamp(min=size[~exact].mean().item()) if not bool(exact.all()) else size
    moved = value + step.to(value.dtype) * torch.finfo(value.dtype).eps * size
    return torch.where(exact, value, moved)


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Shifts what sums and functions give."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2].rstrip("_")
        if name not in SUM_NAMES and name not in FUNCTION_NAMES:
            return result
        if func._schema.is_mutable:  # in place or out=: the result is a tensor that others hold
            for tensor in (result,) if isinstance(result, Tensor) else result or ():
                if isinstance(tensor, Tensor):
                    tensor.copy_(shifted(tensor, name in SUM_NAMES))
            return result
        return tree_map_only(Tensor, lambda tensor: shifted(tensor, name in SUM_NAMES), result)


@contextlib.contextmanager
def another_machine() -> Iterator[None]:
    """Run the block with another number of threads and another rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        with _Rounding():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch.set_num_threads(threads)
