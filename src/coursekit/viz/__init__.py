"""Pictures that teach: pure functions that return a figure with its alternative text."""
