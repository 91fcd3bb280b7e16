"""Rows and parameters of frames: the types of rows, plain and fast readers and writers, counting."""
