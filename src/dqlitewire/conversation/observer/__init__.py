"""Somebody else's connection, followed from outside."""
