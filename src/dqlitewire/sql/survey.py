"""The statement survey: what the statements of a text do, found in their tokens without a parser.

A client needs to know of each text it sends whether it is a hazard (RETURNING, certain pragmas), whether it
begins or ends a transaction, and whether it may be sent again after a failure. All of that follows from
keywords in fixed places:

* a text is cut into statements at its semicolons, but not inside CREATE TRIGGER, which ends with `; END`;
* the verb is the first keyword, behind EXPLAIN [QUERY PLAN] and behind the common table expressions of WITH;
* RETURNING is a keyword that SQLite takes for no name, so a bare word of that spelling is the clause;
* a pragma may run while it is compiled, under EXPLAIN as well; its name, its schema and its value may be
  quoted, and a blank or a comment may stand anywhere between them;
* ROLLBACK behind `INSERT OR`, `UPDATE OR`, `ON CONFLICT` or `RAISE (` rolls a transaction back when a
  constraint fails. A conflict clause or a trigger in the schema may do so too, which no text shows.

What is wrong as SQL gets some survey, and the server refuses it. Where the tokens leave a doubt, the survey
errs to the side of a hazard. What a trigger or a view of the schema does when it is used shows in no text.

The survey of a text is needed with every request, so those of usual length are kept (`SURVEYS`), and an
everyday statement, one verb of five without a telling word in it, is not cut into tokens at all.
"""

from __future__ import annotations

from sys import getsizeof

from ..caches import Cache
from .normalise import normalise
from .tokens import Kind, Token, tokenize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SURVEYS", "Kind", "Pragma", "Survey", "Token", "normalise", "split", "survey", "tokenize"]

_CACHED_TEXTS, _CACHED_SIZE = 512, 12_288  # bytes of a text and what was found in it


class Pragma:
    """One PRAGMA of a text; its words without their quotes, in lower case as SQLite folds them.

    Attributes:
        name: its name.
        written: its name as it is written; some servers compare it letter by letter.
        schema: the schema it is for, "" where none is given.
        value: what it is set to or called with, as it is written but for quotes; None for none.
        explained: whether EXPLAIN stands before it, so that it is compiled and not run.
        begun: whether the text has begun a transaction before it.

    Args:
        tokens: of the statement, from PRAGMA on.
        explained: as above.
        begun: as above.
    """

    __slots__ = ("begun", "explained", "name", "schema", "value", "written")

    def __init__(self, tokens: list[Token], *, explained: bool, begun: bool) -> None:
        self.explained: bool = explained
        self.begun: bool = begun
        self.schema: str = ""
        at = 1
        if len(tokens) > 3 and tokens[2].text == ".":
            self.schema, at = _identifier(tokens[1:]), 3
        self.written: str = _unquoted(tokens[at:])
        self.name: str = fold(self.written)
        argument = [token for token in tokens[at + 2 :] if token.text != ")"]
        signs = "".join(token.text for token in argument[:-1] if token.text == "-")
        self.value: str | None = signs + _identifier(argument[-1:]) if len(tokens) > at + 1 else None

    def __repr__(self) -> str:
        return f"<Pragma {self.schema}.{self.name}={self.value!r}>"


class Survey:
    """What the statements of a text do, as far as their tokens tell.

    Args:
        statements: the tokens of each statement, without blanks, comments and the semicolons between them.

    Attributes:
        verbs: the deciding keyword of each statement, upper case: ("BEGIN", "INSERT"). Behind WITH it is the
            verb of the statement, EXPLAIN is a verb itself, and ROLLBACK TO is "ROLLBACK TO".
        names: the identifier after SAVEPOINT, RELEASE or ROLLBACK TO, without its quotes and folded as SQLite
            compares it; "" for any other statement.
        returning: whether a RETURNING clause is there.
        pragmas: each PRAGMA.
        acts: what else may be a hazard, in words (`_ACTS`), statement by statement.
        or_rollback: whether a conflict clause ROLLBACK or a RAISE(ROLLBACK, ..) is there.
        plain: whether nothing of the text concerns a transaction or is a hazard.
    """

    __slots__ = ("acts", "names", "or_rollback", "plain", "pragmas", "returning", "verbs")

    def __init__(self, statements: list[list[Token]]) -> None:
        found = [_verb(statement) for statement in statements]
        words = [[keyword(token) for token in statement] for statement in statements]
        self.verbs: tuple[str, ...] = tuple(verb for verb, _ in found)
        self.names: tuple[str, ...] = tuple(name for _, name in found)
        self.returning: bool = any("RETURNING" in found and found[0] != "EXPLAIN" for found in words)
        self.or_rollback: bool = any(map(_rolls_back, words))
        self.pragmas: tuple[Pragma, ...] = tuple(_pragmas(statements, self.verbs))
        self.acts: tuple[str, ...] = tuple(_acts(statements, words, self.verbs))
        self.plain: bool = not (
            self.returning
            or self.or_rollback
            or self.pragmas
            or self.acts
            or not _TRANSACTION.isdisjoint(self.verbs)
        )

    @property
    def reads_only(self) -> bool:
        """Whether no statement can change anything, neither data nor the transaction."""
        return not self.pragmas and all(verb in ("SELECT", "VALUES", "EXPLAIN") for verb in self.verbs)

    @property
    def single(self) -> bool:
        """Whether there is one statement at most."""
        return len(self.verbs) <= 1


_TRANSACTION = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "ROLLBACK TO", "SAVEPOINT", "RELEASE"})
_WRITES = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_RAW_TABLES = {"sqlite_dbpage": "dbpage", "sqlite_schema": "schema", "sqlite_master": "schema"}
_EVERYDAY = ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE")


# Surveys by text. `ClientConversation.send` asks this cache itself: a call of `survey` costs as much again.
SURVEYS: Cache[str, Survey] = Cache(_CACHED_TEXTS, _CACHED_SIZE)


def survey(sql: str) -> Survey:
    """Tell what the statements of a text do.

    Args:
        sql: any text, one that is no SQL as well.

    Returns:
        The survey, one object for equal texts as long as the text is kept.
    """
    seen = SURVEYS.get(sql)
    if seen is None:
        seen = _survey(sql)
        SURVEYS.add(sql, seen, 2 * getsizeof(sql) + 300 * len(seen.verbs) + 300 * len(seen.pragmas))
    return seen


def split(sql: str) -> list[str]:
    """Cut a text into its statements.

    Args:
        sql: any text.

    Returns:
        The text of each statement, from its first token to its last: without the semicolon that ends it and
        the blanks and comments around it. Those that are empty are left out.
    """
    ends = ((found[0].start, found[-1].start + len(found[-1].text)) for found in _statements(sql))
    return [sql[start:end] for start, end in ends]


def _survey(sql: str) -> Survey:
    # most texts are one statement whose first word decides all of it: their tokens are not needed
    folded = sql.upper() if sql.isascii() else ""
    semicolon = sql.find(";")
    if semicolon < 0 or not sql[semicolon:].strip("; \t\n"):
        everyday = _PLAIN.get(folded[:12].partition(" ")[0])
        if everyday is not None and not (
            "RETURNING" in folded
            or "ROLLBACK" in folded
            or "FAIL" in folded
            or "PRAGMA_" in folded
            or "SQLITE_" in folded
            or "FTS3_" in folded
        ):
            return everyday
    return Survey(_statements(sql))


def _statements(sql: str) -> list[list[Token]]:
    statements: list[list[Token]] = [[]]
    for token in tokenize(sql):
        if token.kind is Kind.SPACE or token.kind is Kind.COMMENT:
            continue
        if token.kind is not Kind.SEMICOLON or _in_trigger(statements[-1]):
            statements[-1].append(token)
        elif statements[-1]:
            statements.append([])
    return [statement for statement in statements if statement]


def _in_trigger(tokens: list[Token]) -> bool:
    """Tell whether a semicolon ends a statement of a trigger, not the trigger: that ends with `; END`."""
    words = [keyword(token) for token in _behind_explain(tokens[:6])[:3]]
    if words[:2] != ["CREATE", "TRIGGER"] and words not in _TEMPORARY_TRIGGER:  # CREATE TABLE trigger (a)
        return False
    return not (len(tokens) > 1 and tokens[-2].kind is Kind.SEMICOLON and keyword(tokens[-1]) == "END")


_TEMPORARY_TRIGGER = (["CREATE", "TEMP", "TRIGGER"], ["CREATE", "TEMPORARY", "TRIGGER"])


def _behind_explain(tokens: list[Token]) -> list[Token]:
    words = [keyword(token) for token in tokens[:3]]
    return tokens if words[:1] != ["EXPLAIN"] else tokens[3 if words[1:] == ["QUERY", "PLAN"] else 1 :]


def keyword(token: Token) -> str:
    """Return a bare word in upper case; "" for any other token. SQLite folds ASCII letters and no others."""
    return fold(token.text).upper() if token.kind is Kind.WORD and token.text.isascii() else ""


def fold(text: str) -> str:
    """Return an identifier in lower case as SQLite folds it."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _rolls_back(words: list[str]) -> bool:
    return "ROLLBACK" in words and any(
        word == "ROLLBACK" and tuple(words[max(i - 2, 0) : i]) in _ROLLING_BACK
        for i, word in enumerate(words)
    )


# What stands before a ROLLBACK that is no statement; "" is a parenthesis.
_ROLLING_BACK = frozenset({("INSERT", "OR"), ("UPDATE", "OR"), ("ON", "CONFLICT"), ("RAISE", "")})


def _verb(tokens: list[Token]) -> tuple[str, str]:
    words = [keyword(token) for token in tokens[:4]]
    verb = words[0]
    if verb == "WITH":
        return _verb_after_with(tokens), ""
    rest = tokens[1:]
    if verb == "ROLLBACK":  # ROLLBACK [TRANSACTION [name]] [TO [SAVEPOINT] name]
        if words[1:2] == ["TRANSACTION"]:
            rest = rest[2 if len(rest) > 1 and keyword(rest[1]) != "TO" else 1 :]
        if not rest or keyword(rest[0]) != "TO":
            return verb, ""
        verb, rest = "ROLLBACK TO", rest[1:]
    if verb in ("ROLLBACK TO", "RELEASE") and len(rest) > 1 and keyword(rest[0]) == "SAVEPOINT":
        rest = rest[1:]
    return verb or tokens[0].text, _identifier(rest) if verb in _NAMING else ""


_NAMING = frozenset({"SAVEPOINT", "RELEASE", "ROLLBACK TO"})


def _verb_after_with(tokens: list[Token]) -> str:
    depth = 0
    last = ""
    for token in tokens:
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif (
            not depth and last == ")" and keyword(token) in _BEHIND_WITH
        ):  # elsewhere it may be a table's name
            return keyword(token)
        last = token.text
    return "WITH"


_BEHIND_WITH = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"})


def _identifier(tokens: list[Token]) -> str:
    return fold(_unquoted(tokens))


def _unquoted(tokens: list[Token]) -> str:
    if not tokens:
        return ""
    text = tokens[0].text
    if tokens[0].kind in (Kind.NAME, Kind.STRING):
        closing = text[-1]
        text = text[1:-1] if closing == "]" else text[1:-1].replace(closing * 2, closing)
    return text


def _pragmas(statements: list[list[Token]], verbs: tuple[str, ...]) -> Iterator[Pragma]:
    begun = False
    for statement, verb in zip(statements, verbs, strict=True):
        begun = _is_begun(begun, verb)
        tokens = _behind_explain(statement)
        if tokens and keyword(tokens[0]) == "PRAGMA":
            yield Pragma(tokens, explained=tokens is not statement, begun=begun)


def _is_begun(before: bool, verb: str) -> bool:
    if verb in ("BEGIN", "SAVEPOINT"):
        return True
    return before and verb not in ("COMMIT", "END", "ROLLBACK", "RELEASE")


def _acts(statements: list[list[Token]], words: list[list[str]], verbs: tuple[str, ...]) -> Iterator[str]:
    begun = keeps = False
    for tokens, found, verb in zip(statements, words, verbs, strict=True):
        begun = _is_begun(begun, verb)
        if verb == "ATTACH":
            rest = tokens[2 if len(tokens) > 1 and keyword(tokens[1]) == "DATABASE" else 1 :]
            if len(rest) < 2 or keyword(rest[1]) != "AS":
                yield "ATTACH expression"
            elif not _in_memory(rest):
                yield verb
        elif verb == "VACUUM":
            if any(keyword(token) == "INTO" for token in tokens) and not _in_memory(tokens[-1:]):
                yield "VACUUM INTO"
        elif verb == "CREATE":
            keeps = keeps or _fails(found)
        elif verb in _WRITES and not begun and (keeps or _fails(found)):
            yield "OR FAIL"
        if verb != "EXPLAIN":
            yield from _named_acts(tokens, verb)


def _in_memory(tokens: list[Token]) -> bool:
    return _identifier(tokens) in ("", ":memory:")


def _fails(words: list[str]) -> bool:
    # OR FAIL, ON CONFLICT FAIL, RAISE (FAIL, ..)
    return "FAIL" in words and any(
        word == "FAIL" and words[i - 1] in ("OR", "CONFLICT", "") for i, word in enumerate(words) if i
    )


def _named_acts(tokens: list[Token], verb: str) -> Iterator[str]:
    for i, token in enumerate(tokens):
        if len(token.text) < _SHORTEST or token.kind not in _NAMES:
            continue
        name = _identifier([token])
        if name == "pragma_optimize":
            # a string is a table's name only where one must stand
            if token.kind is not Kind.STRING or (i and keyword(tokens[i - 1]) in ("FROM", "JOIN")):
                yield name
        elif name in _RAW_TABLES and verb in _WRITES and i == _target(tokens, verb):
            yield f"write to sqlite_{_RAW_TABLES[name]}"
        elif name == "fts3_tokenizer" and token.kind is not Kind.STRING and _takes_two(tokens[i + 1 :]):
            yield name


_NAMES = frozenset({Kind.WORD, Kind.NAME, Kind.STRING})
_SHORTEST = len("sqlite_schema")


def _target(tokens: list[Token], verb: str) -> int:
    # the place of the table's name behind UPDATE, INSERT INTO, REPLACE INTO or DELETE FROM
    at = next((i for i, token in enumerate(tokens) if keyword(token) == verb), 0) + 1
    while at < len(tokens) and keyword(tokens[at]) in _BEFORE_TABLE:
        at += 1
    return at + 2 if at + 1 < len(tokens) and tokens[at + 1].text == "." else at


_BEFORE_TABLE = frozenset({"INTO", "FROM", "OR", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"})


def _takes_two(tokens: list[Token]) -> bool:
    depth = 0
    for token in tokens:
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif token.text == "," and depth == 1:
            return True
        if depth < 1:
            return False
    return False


_PLAIN = {verb: Survey([[Token(Kind.WORD, verb, 0)]]) for verb in _EVERYDAY}
