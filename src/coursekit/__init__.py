"""A PyTorch course that checks, proves and grades itself; see the subpackages."""

__version__ = "0.1.0"
