"""A sound LogisticRegression, of which each wrong answer of u05-logistic-regression exchanges a part."""

import torch
from torch import nn


class Logistic(nn.Module):
    """A sound model whose parts can be exchanged."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x @ self.weight + self.bias

    def error(self, x, y):
        return (torch.sigmoid(self(x)) - y) / len(y)

    @torch.no_grad()
    def backward(self, x, y):
        self.fill(x, self.error(x, y))

    def fill(self, x, grad_z):
        self.weight.grad, self.bias.grad = x.T @ grad_z, grad_z.sum()

    @torch.no_grad()
    def optimize(self, lr):
        for p in self.parameters():
            p -= lr * p.grad
