# Goes for the evidence: lists of a million numbers, dicts of endless names, texts of 100 MB.
# Gains: a grader that runs out of memory, or an evidence folder that fills the disk.
# outcome: too large or timed out
# ruff: noqa
import torch


def two_layer_backward(x, y, w1, w2):
    return {str(n): "x" * 1000 for n in range(200_000)}, ["y" * 100_000_000] * 3


def batch_diagonals(t):
    return torch.zeros(200_000_000)


def numeric_grad(f, x, h):
    nested = []
    nested.append(nested)
    return [nested, list(range(1_000_000))]
