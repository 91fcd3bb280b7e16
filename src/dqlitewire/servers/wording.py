"""What servers say when a request fails: templates of their own words, with holes for the words of others.

`UNIQUE constraint failed: {}` is SQLite's, what stands in the hole is a name from somebody's schema; a text
of RAISE is the user's as a whole. A tool that hides what people stored must tell the two apart, so `cut`
divides a message by the templates. A text that fits none is unknown as a whole: a later release may say new
things.

The templates are SQLite's (src/*.c: sqlite3ErrorMsg, sqlite3_errstr) and dqlite's. A test holds that every
text of `refusals` and `releases` is among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

# `{}` is a place for words of others, `{#}` for a count, `{*}` for another of these messages
_SQLITE = """
another row available
abort due to ROLLBACK
access permission denied
access to {} is prohibited
aggregate functions are not allowed in the GROUP BY clause
all VALUES must have the same number of terms
ambiguous column name: {}
at most {#} tables in a join
attempt to write a readonly database
authorization denied
AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY
AUTOINCREMENT not allowed on WITHOUT ROWID tables
bad JSON path: {}
bad parameter or other API misuse
bind or column index out of range
a GROUP BY clause is required before HAVING
a JOIN clause is required before {}
a NATURAL join may not have an ON or USING clause
callback requested query abort
Cannot add a column to a view
Cannot add a column with non-constant default
Cannot add a NOT NULL column with default value NULL
Cannot add a PRIMARY KEY column
Cannot add a REFERENCES column with non-NULL default value
Cannot add a UNIQUE column
cannot change into wal mode from within a transaction
cannot change out of wal mode from within a transaction
cannot commit - no transaction is active
cannot commit transaction - SQL statements in progress
cannot create {} trigger on view: {}
cannot create INSTEAD OF trigger on table: {}
cannot create trigger on system table
cannot detach database {}
cannot drop column "{}": no other columns exist
cannot drop PRIMARY KEY column: "{}"
cannot drop UNIQUE column: "{}"
cannot INSERT into generated column "{}"
cannot join using column {} - column not present in both tables
cannot modify {} because it is a view
cannot open savepoint - SQL statements in progress
cannot release savepoint - SQL statements in progress
cannot rollback - no transaction is active
cannot rollback transaction - SQL statements in progress
cannot start a transaction within a transaction
cannot store BLOB value in INT column {}
cannot store BLOB value in INTEGER column {}
cannot store BLOB value in REAL column {}
cannot store BLOB value in TEXT column {}
cannot store INT value in BLOB column {}
cannot store REAL value in BLOB column {}
cannot store REAL value in INT column {}
cannot store REAL value in INTEGER column {}
cannot store TEXT value in BLOB column {}
cannot store TEXT value in INT column {}
cannot store TEXT value in INTEGER column {}
cannot store TEXT value in REAL column {}
cannot UPDATE generated column "{}"
cannot UPSERT a view
cannot use DEFAULT on a generated column
cannot VACUUM - SQL statements in progress
cannot VACUUM from within a transaction
CHECK constraint failed: {}
circular reference: {}
column index out of range
constraint failed
database {} is already in use
database {} is locked
database disk image is malformed
database is already attached
database is locked
database or disk is full
database schema has changed
database schema is locked: {}
database table is locked
database table is locked: {}
datatype mismatch
default value of column [{}] is not constant
disk I/O error
DISTINCT aggregates must have exactly one argument
duplicate column name: {}
duplicate WITH table name: {}
error in index {}: {*}
error in index {} after drop column: {*}
error in index {} after rename: {*}
error in table {}: {*}
error in table {} after add column: {*}
error in table {} after drop column: {*}
error in table {} after rename: {*}
error in trigger {}: {*}
error in trigger {} after drop column: {*}
error in trigger {} after rename: {*}
error in view {}: {*}
error in view {} after drop column: {*}
error in view {} after rename: {*}
ESCAPE expression must be a single character
Expression tree is too large (maximum depth {#})
expressions prohibited in PRIMARY KEY and UNIQUE constraints
file is not a database
FOREIGN KEY constraint failed
foreign key mismatch - "{}" referencing "{}"
foreign key on {} should reference only one column of table {}
generated columns cannot be part of the PRIMARY KEY
HAVING clause on a non-aggregate query
hex literal too big: {}
incomplete input
index {} already exists
index associated with UNIQUE or PRIMARY KEY constraint cannot be dropped
integer overflow
interrupted
JSON cannot hold BLOB values
JSON path error near '{}'
large file support is disabled
LIKE or GLOB pattern too complex
LIMIT clause should come after {} not before
locking protocol
malformed JSON
missing datatype for {}
misuse of aggregate function {}()
misuse of aggregate: {}()
misuse of aliased aggregate {}
misuse of aliased window function {}
misuse of window function {}()
multiple recursive references: {}
multiple references to recursive table: {}
must have at least one non-generated column
near "{}": syntax error
no more rows available
no query solution
no such collation sequence: {}
no such column: "{}" - should this be a string literal in single-quotes?
no such column: {}
no such database: {}
no such function: {}
no such index: {}
no such module: {}
no such savepoint: {}
no such table column: {}
no such table: {}
no such trigger: {}
no such view: {}
no such window: {}
no tables specified
not an error
not authorized
not authorized to use function: {}
NOT NULL constraint failed: {}
number of columns in foreign key does not match the number of columns in the referenced table
object name reserved for internal use: {}
ON clause references tables to its right
ON CONFLICT clause does not match any PRIMARY KEY or UNIQUE constraint
ORDER BY clause should come after {} not before
out of memory
parameters are not allowed in views
parser stack overflow
PRIMARY KEY missing on table {}
query aborted
RAISE() may only be used within a trigger-program
recursive reference in a subquery: {}
row value misused
SELECTs to the left and right of {} do not have the same number of result columns
SQL logic error
statement too long
string or blob too big
sub-select returns {#} columns - expected {#}
subqueries prohibited in CHECK constraints
subqueries prohibited in generated columns
subqueries prohibited in index expressions
subqueries prohibited in partial index WHERE clauses
table "{}" has more than one primary key
table {} already exists
table {} has {#} columns but {#} values were supplied
table {} has no column named {}
table {} may not be altered
table {} may not be dropped
table {} may not be indexed
table {} may not be modified
there is already a table named {}
there is already an index named {}
there is already another table or index with this name: {}
too many arguments on function {}
too many attached databases - max {#}
too many columns in {}
too many columns in result set
too many columns on {}
too many FROM clause terms, max: {#}
too many levels of trigger recursion
too many SQL variables
too many terms in compound SELECT
too many terms in GROUP BY clause
too many terms in ORDER BY clause
trigger {} already exists
unable to open database file
unable to open database: {}
unable to use function {} in the requested context
UNIQUE constraint failed: index '{}'
UNIQUE constraint failed: {}
unknown column "{}" in foreign key definition
unknown database {}
unknown database: {}
unknown datatype for {}: "{}"
unknown error
unknown join type: {}
unknown operation
unknown or unsupported join type: {}
unknown table option: {}
unrecognized token: "{}"
unsafe use of {}()
use DROP TABLE to delete table {}
use DROP VIEW to delete view {}
variable number must be between ?1 and ?{#}
view {} already exists
view {} is circularly defined
view {} may not be altered
views may not be indexed
virtual tables may not be altered
virtual tables may not be indexed
wrong number of arguments to function {}()
{#} columns assigned {#} values
{#} GROUP BY term out of range - should be between 1 and {#}
{#} ORDER BY term does not match any column in the result set
{#} ORDER BY term out of range - should be between 1 and {#}
{#} values for {#} columns
"""

# dqlite src/gateway.c, src/raft/err.h
_DQLITE = """
a configuration change is already in progress
a database for this connection is already open
bad format version
barrier error
bind parameters
changing page size is not supported
checkpoint in progress
custom checkpoint not allowed
database does not exists
empty statement
failed to dump WAL file
failed to dump database
failed to dump main database file
failed to dump wal file
failed to open database
leader exec failed
leadership lost
leadership transfer failed
no database opened
no statement with the given id
nonempty statement tail
not leader
only WAL mode is supported
operation canceled
Resource not found
rows yielded when none expected for EXEC request
server ID already in use
server ID is not valid
server address already in use
server has lost leadership
server is not the leader
server is shutting down
server role is not valid
unrecognized cluster format
unrecognized request type
unrecognized schema version
"""


class Whose(Enum):
    """Whose words a part of a message is."""

    SERVER = "server"
    QUOTED = "quoted"
    UNKNOWN = "unknown"


_WHOSE = {"": Whose.SERVER, "{#}": Whose.SERVER, "{}": Whose.QUOTED, "{*}": Whose.UNKNOWN}
_ORDINALS = ("st", "nd", "rd", "th")
_HOLE = re.compile(r"(\{[#*]?\})")

# literal parts and, between them, holes
_TEMPLATES = [_HOLE.split(line) for line in f"{_SQLITE}{_DQLITE}".split("\n") if line]
_WHOLE = frozenset(parts[0] for parts in _TEMPLATES if len(parts) == 1)
_WITH_HOLES = [parts for parts in _TEMPLATES if len(parts) > 1]


def cut(message: str, nested: int = 0) -> Iterator[tuple[str, Whose]]:
    """Yield the parts of a message in order, and whose words each is.

    Args:
        message: as a server sent it.
        nested: in how many others it stands; SQLite puts no more than two in one another.
    """
    if message in _WHOLE:
        yield message, Whose.SERVER
        return
    found = next((fit for parts in _WITH_HOLES if (fit := _fit(parts, message)) is not None), None)
    if found is None:
        yield message, Whose.UNKNOWN
        return
    for hole, text in found:
        if hole == "{*}" and nested < 2:
            yield from cut(text, nested + 1)
        else:
            yield text, _WHOSE[hole]


def _fit(parts: list[str], message: str) -> list[tuple[str, str]] | None:
    """What of a message falls into each part of a template, None if it does not fit.

    Literals are looked for from the left, so the time is that of reading the message once.
    """
    if not message.startswith(parts[0]) or not message.endswith(parts[-1]):
        return None
    end = len(message) - len(parts[-1])
    position = len(parts[0])
    fit = [("", parts[0])]
    for number in range(1, len(parts), 2):
        hole, literal = parts[number : number + 2]
        at = end if number == len(parts) - 2 else message.find(literal, position, end)
        if at < position or (hole == "{#}" and not _is_count(message[position:at])):
            return None
        fit += [(hole, message[position:at]), ("", literal)]
        position = at + len(literal)
    return fit


def _is_count(text: str) -> bool:
    digits = text[:-2] if text.endswith(_ORDINALS) else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 5
