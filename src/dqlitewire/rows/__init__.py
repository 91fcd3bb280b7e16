"""Rows of a ROWS frame: types, readers, counting, writers."""
