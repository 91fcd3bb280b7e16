"""The thread that serves, and what it owns: sockets, folders, locks."""
