"""Real dqlite nodes as child processes, and the proofs that need one.

`setup-nodes` unpacks the servers, `node.py` runs one of them, `nodes.py` starts and stops them, `raw.py` talks to them
without the codec, `fixtures.py` offers all of it to every test of the project, `session.py` talks through the codec.
"""
