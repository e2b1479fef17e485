"""Reads what was handed in, plans what of it runs, and keeps what was seen as evidence: trusted, and knows no expected value."""
