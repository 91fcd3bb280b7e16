"""SQL text, as far as clients and tools must understand it.

`tokens` cuts it as SQLite does, `survey` tells what its statements do, `normalise` makes a key of it for
statistics, `names` tells names from values. Nothing here parses, and nothing of the protocol is known here.
"""
