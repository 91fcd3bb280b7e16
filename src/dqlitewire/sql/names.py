"""Names and values in SQL text, for tools that show names and hide values.

Hiding too little is a leak, hiding too much is only a nuisance, so every doubt is decided for a value:

* Bare words, and names in backquotes or brackets, are names.
* Double quotes are for names as well, but SQLite takes a name that is no column for a string, and people
  write strings so from habit. A text in double quotes is a name only where the grammar allows no value:
  behind FROM, INTO, TABLE and the like, beside a dot, in a list of columns, on the left side of SET.
* Some bare words are values: what follows DEFAULT, what a pragma is given, the key of ATTACH.
* Where a quote is not closed, touches a word (`'it's'`), only looks like a quote, or may have been damaged,
  it is not known what is inside and what outside. From the first quote of such a text on nothing is a name.
"""

from __future__ import annotations

from sys import getsizeof

from ..caches import Cache
from .tokens import Kind, Token, tokenize

# quotes of word processors: to SQLite they are letters; bytewise, as all text here
_LOOK_LIKE_QUOTES = tuple(char.encode().decode("latin-1") for char in "‘’‚‛“”„‟´«»‹›′″＂＇")
_TOUCHING = frozenset({Kind.STRING, Kind.NAME, Kind.BLOB, Kind.WORD, Kind.NUMBER, Kind.BAD, Kind.VARIABLE})
# keywords behind which stands a name and nothing else
_BEFORE_NAME = frozenset(
    {"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "INDEX", "VIEW", "TRIGGER", "REFERENCES"}
    | {"SAVEPOINT", "RELEASE", "COLUMN", "ADD", "TO", "COLLATE", "CONSTRAINT", "AS"}
)
_QUERIES = frozenset({"SELECT", "WITH", "DELETE", "UPDATE"})
# what may stand behind DEFAULT and is no literal
_DEFAULTS = frozenset(
    {"VALUES", "NULL", "TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"}
    | {"ON", "NOT", "DEFERRABLE"}  # behind SET DEFAULT
)
# pragmas that are given a name or a word of SQLite's own; any other may be given a password
_NAMED_PRAGMAS = frozenset(
    {"TABLE_INFO", "TABLE_XINFO", "TABLE_LIST", "INDEX_INFO", "INDEX_XINFO", "INDEX_LIST"}
    | {"FOREIGN_KEYS", "FOREIGN_KEY_LIST", "FOREIGN_KEY_CHECK", "INTEGRITY_CHECK", "QUICK_CHECK"}
    | {"JOURNAL_MODE", "LOCKING_MODE", "SYNCHRONOUS", "WAL_CHECKPOINT", "AUTO_VACUUM", "TEMP_STORE"}
)
# keywords behind which a list of names stands in parentheses
_BEFORE_LIST = frozenset({"KEY", "UNIQUE", "CONFLICT", "USING"})
_BEFORE_LISTED_NAME = frozenset({"INTO", "TABLE", "EXISTS", "REFERENCES"})


class Names:
    """The names of a text, and the text without its values.

    Args:
        sql: the text; bytewise texts (one character for each byte) keep their length in bytes.

    Attributes:
        names: what stands as a name, quotes removed, in small letters.
        literals: what stands in quotes and is no name.
        hidden: the text, as long as it was, without what may be values in it.
        in_doubt: whether names cannot be distinguished from values in some of it.
    """

    __slots__ = ("_values", "hidden", "in_doubt", "literals", "names")

    def __init__(self, sql: str) -> None:
        tokens = list(tokenize(sql))
        trusted = _trusted(tokens)
        self.in_doubt: bool = trusted < len(tokens)
        del tokens[trusted:]
        solid = [token for token in tokens if token.kind is not Kind.SPACE and token.kind is not Kind.COMMENT]
        certain = _certain(solid)
        self._values = _values(solid)
        self.names: set[str] = {
            _unquoted(token).lower()
            for token in solid
            if token.kind is Kind.WORD or (token.kind is Kind.NAME and token.start in certain)
            if token.start not in self._values
        }
        self.literals: set[str] = set()
        hidden = "".join([self._hidden(token) for token in tokens])
        self.hidden: str = hidden + "x" * (len(sql) - len(hidden))

    def _hidden(self, token: Token) -> str:
        kind, text = token.kind, token.text
        if kind is Kind.NAME or kind is Kind.STRING:
            inside = _unquoted(token)
            if kind is Kind.NAME and inside.lower() in self.names and token.start not in self._values:
                return text
            self.literals.add(inside)
            return text[0] + "x" * (len(text) - 2) + text[-1]
        if kind is Kind.BLOB:
            return text[:2] + "0" * (len(text) - 3) + text[-1]
        if kind is Kind.NUMBER:
            return "0" * len(text)
        if kind is Kind.COMMENT:
            end = "*/" if len(text) > 3 and text.endswith("*/") else ""
            return text[:2] + "x" * (len(text) - 2 - len(end)) + end
        # $$text$$, $name(any text); # is no mark of a parameter
        strange = kind is Kind.VARIABLE and (text[0] == "#" or "$" in text[1:] or "(" in text)
        return "x" * len(text) if strange or token.start in self._values else text


_NAMES: Cache[str, Names] = Cache(64, 65_536)  # texts, and bytes of a text and what is kept of it


def names_of(sql: str) -> Names:
    """Return the names of a text; those of texts of usual length are kept."""
    names = _NAMES.get(sql)
    if names is None:
        names = Names(sql)
        _NAMES.add(sql, names, 8 * getsizeof(sql))
    return names


def _unquoted(token: Token) -> str:
    text = token.text
    if token.kind is not Kind.NAME and token.kind is not Kind.STRING:
        return text
    closing = text[-1]
    return text[1:-1].replace(closing * 2, closing)


def _trusted(tokens: list[Token]) -> int:
    """Return how many tokens can be sorted into names and values: all, or those before the first quote."""
    first, doubt = len(tokens), False
    for at, token in enumerate(tokens):
        kind = token.kind
        if kind is Kind.WORD and not token.text.isascii():
            if _damaged(token.text) or any(quote in token.text for quote in _LOOK_LIKE_QUOTES):
                first, doubt = min(first, at), True
        elif kind is Kind.BAD or kind is Kind.STRING or kind is Kind.NAME or kind is Kind.BLOB:
            first = min(first, at)
            doubt = doubt or kind is Kind.BAD or _touched(tokens, at)
    return first if doubt else len(tokens)


def _damaged(word: str) -> bool:
    """Whether letters touch bytes that are none."""
    try:
        word.encode("latin-1").decode()
    except UnicodeError:
        return any(map(str.isascii, word))
    return False


def _touched(tokens: list[Token], at: int) -> bool:
    """Whether something stands right beside a quoted text that should not."""
    return any(token.kind in _TOUCHING for token in (*tokens[max(0, at - 1) : at], *tokens[at + 1 : at + 2]))


def _values(solid: list[Token]) -> set[int]:
    """Where words and names stand that SQLite takes for a string."""
    found: set[int] = set()
    first = 0  # of the statement
    for at, token in enumerate(solid):
        before = solid[at - 1].text.upper() if at else ""
        if token.text == ";":
            first = at + 1
        elif token.kind is Kind.WORD or token.kind is Kind.NAME:
            statement = solid[first].text.upper()
            if (
                (before == "DEFAULT" and token.text.upper() not in _DEFAULTS)
                or (before == "KEY" and statement == "ATTACH")
                or (before in ("=", "(") and statement == "PRAGMA" and _may_be_secret(solid[at - 2]))
            ):
                found.add(token.start)
    return found


def _may_be_secret(pragma: Token) -> bool:
    return _unquoted(pragma).upper() not in _NAMED_PRAGMAS


def _certain(solid: list[Token]) -> set[int]:
    """Where quoted names stand that cannot be values."""
    quoted = [token for token in solid if token.kind is Kind.NAME]
    if all(token.text[0] != '"' for token in quoted):
        return {token.start for token in quoted}
    found: set[int] = set()
    lists: list[bool] = []  # of each open parenthesis: whether names are listed in it
    calls: list[bool] = []  # and whether it is no query, so that FROM means something else
    setting: list[int] = []  # at which depths of parentheses a SET clause goes on
    for at, token in enumerate(solid):
        before = solid[at - 1].text.upper() if at else ""
        after = solid[at + 1].text if at + 1 < len(solid) else ""
        word = token.text.upper() if token.kind is Kind.WORD else token.text
        depth = len(lists)
        if word == "(":
            lists.append(before in _BEFORE_LIST or _lists_names(solid, at))
            calls.append(after.upper() not in _QUERIES)
        elif word == ")" and lists:
            lists.pop()
            calls.pop()
            setting = [other for other in setting if other < depth]
        elif word == "SET":
            setting.append(depth)
        elif word in ("WHERE", "FROM", "RETURNING", ";"):
            setting = [other for other in setting if other != depth]
        elif token.kind is Kind.NAME:
            first = before in ("(", ",")
            if (
                token.text[0] != '"'
                or "." in (before, after)
                or (_follows_keyword(solid, at) and not (before == "FROM" and calls and calls[-1]))
                or (before == "ON" and _makes_index(solid, at))
                or (first and lists and lists[-1])
                or (before == "SET" and depth in setting)
                or (before == "," and after == "=" and depth in setting)
            ):
                found.add(token.start)
    return found


def _words_before(solid: list[Token], at: int) -> tuple[str, str]:
    """The two tokens before one, in capitals; "" for what is no word."""
    one, two = (
        solid[at - back].text.upper() if at >= back and solid[at - back].kind is Kind.WORD else ""
        for back in (1, 2)
    )
    return two, one


def _follows_keyword(solid: list[Token], at: int) -> bool:
    two, one = _words_before(solid, at)
    if one == "EXISTS":  # not that of an expression
        return two in ("IF", "NOT") and "IF" in (two, _words_before(solid, at - 1)[0])
    if one == "INTO" and "VACUUM" in (two, _words_before(solid, at - 2)[1]):
        return False
    return one in _BEFORE_NAME and (two, one) != ("DISTINCT", "FROM")


def _lists_names(solid: list[Token], at: int) -> bool:
    """Whether the parenthesis there lists columns of the table that is named before it."""
    if not at or solid[at - 1].kind not in (Kind.WORD, Kind.NAME):
        return False
    name = at - 1
    if name >= 2 and solid[name - 1].text == ".":
        name -= 2
    before = _words_before(solid, name)[1]
    return before in _BEFORE_LISTED_NAME or (before == "ON" and _makes_index(solid, name))


def _makes_index(solid: list[Token], at: int) -> bool:
    """Whether an ON before a name is that of CREATE INDEX, not of a join."""
    return "INDEX" in {token.text.upper() for token in solid[max(0, at - 9) : at] if token.kind is Kind.WORD}
