"""Makes and keeps the environment in .venv for course.py, with the standard library alone."""
