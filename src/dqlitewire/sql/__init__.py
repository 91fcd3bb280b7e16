"""SQL text, as far as clients and tools must understand it.

`tokens` cuts it as SQLite does, `survey` finds what its statements do, `normalise` makes a key of it for
statistics, `names` distinguishes names from values. Nothing here parses, or knows the protocol.
"""
