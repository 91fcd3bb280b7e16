"""Frames made at random, and then damaged: what the fast paths make of them is what the plain ones make of
them.

`python -m tests.fuzz --rounds 630000` runs it at length; the suite runs a small, fixed part. Every frame
comes from a seed, so that a failure names the one line that repeats it.
"""
