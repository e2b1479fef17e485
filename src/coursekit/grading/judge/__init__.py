"""Knows keys, inputs and references of a unit, and judges evidence by them: trusted, and the only room of grading that does."""
