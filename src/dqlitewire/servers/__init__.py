"""What servers do, told once: for the client that refuses, the server conversation, and the embedded node.

    releases     a row for each release: all that it does in its own way
    generation   which generation is at the other end: the probe, and what its answer tells
    refusals     what servers say to a request they do not accept
    hazards      what kills, hangs or misleads a server
    failures     a FAILURE in words, and what is safe to send again
    codes        names of the codes
    wording      which words of a message are the servers' own

Nothing here knows a connection or its state; of the package only the core and `sql` are imported.
"""
