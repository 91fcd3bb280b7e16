"""A survey of what a client can do to a node by SQL text and names alone, made on throw-away nodes.

    python -m tests.real.survey --server 1.18.1 --jobs 2        (or `make survey` for all servers)

`steps.py` lists what is tried, `trial.py` tries it and says what became of the node, `table.py` keeps the
results, one row a step, in a sorted file of the repository. The client's refusals and the embedded server's
hazards are held against that file by a test.
"""
