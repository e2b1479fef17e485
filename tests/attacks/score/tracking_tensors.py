# Goes for what comes with a tensor: requires_grad, grad_fn, hooks and a `data` that differs from what is shown.
# Gains: code that runs in the grader when the answer is used there.
# ruff: noqa
import torch


class Hooked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w): return w.clone()
    @staticmethod
    def backward(ctx, g): print("backward in the grader"); return g


def two_layer_backward(x, y, w1, w2):
    a = Hooked.apply(w1.requires_grad_())
    a.register_hook(lambda g: print("hook in the grader"))
    return a, a.sum() * w2
