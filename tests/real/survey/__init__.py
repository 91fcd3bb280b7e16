"""What becomes of a real node, of its clients and of its disk when a statement is sent: a survey from life.

    python -m tests.real.survey [--minutes M] [--only TEXT] [KIND ...]

`steps.py` makes the table of steps, `judge.py` tries some of them on a throw-away node and looks at what is
left, `__main__.py` divides a batch until it knows which step did it and keeps the file of results, so that a
run which was interrupted goes on where it was.
"""
