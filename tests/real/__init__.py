"""Real dqlite nodes as child processes, and the proofs that need one.

`setup-nodes` unpacks the servers, `node.py` runs one, `nodes.py` starts and stops them, `raw.py` talks
to them without the codec, `session.py` through it, and `fixtures.py` offers all that to every test.
"""
