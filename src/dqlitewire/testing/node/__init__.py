"""One simulated node, without I/O but SQLite's.

    session      what is answered when: one client's connection, bytes in, frames out
    dispatch     what is answered: a handler for each request
    workspace    an open database of one connection: statements, parameters, rules about texts
    connection   SQLite as a node sets it up        statement  statement_cache  authorizer  sqlite
    store        databases by name                  cluster    members, roles, leadership
    row_batches  rows into the bodies of frames     encoders   rows into bytes
    answers      frames as a node writes them       lenient_reader  requests as a node reads them
    errors       how a node does not answer         hazards    what a real node would not survive

What a release does in its own way stands in `dqlitewire.servers.releases`; no module here compares versions.
"""
