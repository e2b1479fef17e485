"""What students use: checks that name the mistake, hints, and progress."""

from coursekit.checks.notebook import check, expect_error, hint, progress

__all__ = ["check", "expect_error", "hint", "progress"]
