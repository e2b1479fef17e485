"""The cell before a notebook's imports: it asks whether the course is installed in the notebook's Python.

A notebook travels alone, to Colab or into an editor, where an import would fail with a bare ModuleNotFoundError.
"""

from __future__ import annotations

from coursekit.course.address import ADDRESS, KEEPING_TORCH

NAME = "is-the-course-here"  # the cell's id

TEXT = f"""\
# Is the course installed here? Colab installs it in this cell; elsewhere the cell says how.
import importlib.util, os, sys
if importlib.util.find_spec("coursekit") is None:
    from IPython.core.error import UsageError  # its text is shown without a traceback
    command = "install {ADDRESS}"
    if "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        command += " {KEEPING_TORCH}"
    if "google.colab" in sys.modules:
        get_ipython().run_line_magic("pip", command)
        importlib.invalidate_caches()
    if importlib.util.find_spec("coursekit") is None:
        raise UsageError(f"The course is not installed in {{sys.executable}}.\\nRun this in a cell, then this cell again: %pip {{command}}")"""
