"""What can be told of SQL text from its tokens, without a parser.

`survey` reads what statements do off their first words; `normalise` makes one key of statements that differ
in literals and layout only. Both remember texts of usual length.
"""

from __future__ import annotations

from .normal import normalise
from .tokens import Kind, Token, tokenize

__all__ = ["SURVEYS", "Kind", "Survey", "Token", "normalise", "survey", "tokenize"]

_CACHED_LENGTH = 4096  # longer texts are not kept
_CACHED_TEXTS = 512


class Survey:
    """What the statements of a text do, as far as their tokens tell.

    Attributes:
        verbs: the deciding keyword of each statement, upper case: ("BEGIN", "INSERT"); WITH and EXPLAIN are
            looked behind, ROLLBACK TO is "ROLLBACK TO".
        names: the identifier after SAVEPOINT, RELEASE or ROLLBACK TO, folded; "" for any other statement.
        returning: whether a RETURNING clause is there.
        pragmas: the name of each PRAGMA, lower case, and whether it is given an argument.
        or_rollback: whether a conflict clause ROLLBACK is there.
        plain: whether nothing of the text concerns a transaction or is a hazard.
    """

    __slots__ = ("names", "or_rollback", "plain", "pragmas", "returning", "verbs")

    def __init__(self, statements: list[list[Token]]) -> None:
        found = [_verb(statement) for statement in statements]
        self.verbs = tuple(verb for verb, _ in found)
        self.names = tuple(name for _, name in found)
        words = {token.text.upper() for tokens in statements for token in tokens if token.kind is Kind.WORD}
        self.returning = "RETURNING" in words
        self.or_rollback = "ROLLBACK" in words and "ROLLBACK" not in self.verbs
        self.pragmas = tuple(_pragma(tokens) for tokens in statements if tokens[0].text.upper() == "PRAGMA")
        self.plain = not (
            self.returning or self.or_rollback or self.pragmas or not _TRANSACTION.isdisjoint(self.verbs)
        )

    @property
    def reads_only(self) -> bool:
        """Whether no statement can change anything, neither data nor the transaction."""
        return all(verb in ("SELECT", "VALUES", "EXPLAIN") for verb in self.verbs)

    @property
    def single(self) -> bool:
        """Whether there is one statement at most."""
        return len(self.verbs) <= 1


_TRANSACTION = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "ROLLBACK TO", "SAVEPOINT", "RELEASE"})
_EVERYDAY = ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE")


SURVEYS: dict[str, Survey] = {}  # what is remembered, for whoever cannot afford a call


def survey(sql: str) -> Survey:
    """Tell what the statements of `sql` do; texts of usual length are remembered."""
    seen = SURVEYS.get(sql)
    if seen is None:
        seen = _survey(sql)
        if len(sql) <= _CACHED_LENGTH:
            if len(SURVEYS) >= _CACHED_TEXTS:
                SURVEYS.clear()
            SURVEYS[sql] = seen
    return seen


def _survey(sql: str) -> Survey:
    # the everyday text is one statement that says at once what it is: no need for its tokens
    folded = sql.upper()
    semicolon = sql.find(";")
    if semicolon < 0 or not sql[semicolon:].strip("; \t\n"):
        everyday = _PLAIN.get(folded[:12].partition(" ")[0])
        if everyday is not None and "RETURNING" not in folded and "ROLLBACK" not in folded:
            return everyday
    return Survey(_statements(sql))


def _statements(sql: str) -> list[list[Token]]:
    statements: list[list[Token]] = [[]]
    bodies = 0  # CREATE TRIGGER .. BEGIN a; b; END is one statement
    for token in tokenize(sql):
        if token.kind is Kind.SPACE or token.kind is Kind.COMMENT:
            continue
        if token.kind is Kind.SEMICOLON:
            if not bodies and statements[-1]:
                statements.append([])
            continue
        if token.kind is Kind.WORD:
            word = token.text.upper()
            if (word == "BEGIN" and _is_trigger(statements[-1])) or (word == "CASE" and bodies):
                bodies += 1
            elif word == "END" and bodies:
                bodies -= 1
        statements[-1].append(token)
    return [statement for statement in statements if statement]


def _is_trigger(tokens: list[Token]) -> bool:
    head = [token.text.upper() for token in tokens[:3]]
    return len(head) > 1 and head[0] == "CREATE" and "TRIGGER" in head


def _verb(tokens: list[Token]) -> tuple[str, str]:
    words = [token.text.upper() for token in tokens[:4]]
    verb = words[0]
    if verb == "WITH":
        return _verb_after_with(tokens), ""
    if verb == "SAVEPOINT":
        return verb, _identifier(tokens[1:2])
    if verb == "RELEASE":
        return verb, _identifier(tokens[2 if words[1:2] == ["SAVEPOINT"] and len(tokens) > 2 else 1 :])
    if verb == "ROLLBACK":
        rest = tokens[2 if words[1:2] == ["TRANSACTION"] else 1 :]
        if rest and rest[0].text.upper() == "TO":
            rest = rest[1:]
            savepoint = len(rest) > 1 and rest[0].text.upper() == "SAVEPOINT"
            return "ROLLBACK TO", _identifier(rest[1:] if savepoint else rest)
    return verb, ""


def _verb_after_with(tokens: list[Token]) -> str:
    depth = 0
    for token in tokens:
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif not depth and token.kind is Kind.WORD:
            word = token.text.upper()
            if word in ("SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"):
                return word
    return "WITH"


def _identifier(tokens: list[Token]) -> str:
    if not tokens:
        return ""
    text = tokens[0].text
    if tokens[0].kind in (Kind.NAME, Kind.STRING):
        text = text[1:-1]
    return text.lower()


def _pragma(tokens: list[Token]) -> tuple[str, bool]:
    at = 3 if len(tokens) > 3 and tokens[2].text == "." else 1  # PRAGMA schema.name
    return _identifier(tokens[at:]), len(tokens) > at + 1


_PLAIN = {verb: Survey([[Token(Kind.WORD, verb, 0)]]) for verb in _EVERYDAY}
