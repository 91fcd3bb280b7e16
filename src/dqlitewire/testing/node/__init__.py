"""One simulated node, without I/O but SQLite's."""
