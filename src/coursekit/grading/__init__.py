"""Grading: the verbs, and below them, in the order in which trust ends, gradebook, judge, collect, sandbox and inside."""
