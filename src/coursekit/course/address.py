"""Where the course is had from, for machines that have only one of its notebooks. Nothing else names the address."""

# What pip takes: an archive, so that no git is needed. example.org belongs to nobody: put the public address here when there
# is one, then build.
ADDRESS = "https://example.org/pytorch-from-the-inside/archive/main.zip"

# Colab and Kaggle hold all that the course needs but this, and a PyTorch that fits their GPU: nothing else may be touched there.
KEEPING_TORCH = "--no-deps -U safetensors"
