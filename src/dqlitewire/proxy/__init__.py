"""A proxy in front of dqlite nodes: passes, records, maps addresses, and spoils frames on order."""
