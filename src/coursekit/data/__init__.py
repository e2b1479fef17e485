"""Data sets that the course ships or downloads, and what reads them."""
