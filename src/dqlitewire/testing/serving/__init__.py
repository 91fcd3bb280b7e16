"""The thread that serves, and what it owns: connections, listeners, calls of other threads."""
