"""The texts of prepared statements, so that an exchange that names one by its id can show its SQL."""

from __future__ import annotations

from collections import OrderedDict

from ...constants import RequestType
from ..frames import statement_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Exchange, Frame

__all__ = ["PreparedTexts"]

MAX_STATEMENTS = 1 << 14
MAX_TEXTS = 16 << 20  # characters


class PreparedTexts:
    """Texts by statement id, as far as their PREPARE was seen; of too many the oldest is forgotten.

    Attributes:
        size: characters of all texts.
    """

    __slots__ = ("_texts", "size")

    def __init__(self) -> None:
        self._texts: OrderedDict[int, str] = OrderedDict()
        self.size: int = 0

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, statement: int) -> str | None:
        """Return the text of a statement, None if it is not known."""
        return self._texts.get(statement)

    def follow(self, exchange: Exchange, request: Frame) -> None:
        """Learn from an exchange that is over."""
        kind = request.data[4]
        if exchange.ending != "done":
            return
        if kind == RequestType.PREPARE:
            answer: Any = exchange.answers[-1].message
            text = getattr(request.message, "sql", None)
            if answer is not None and text is not None:
                self._keep(answer.stmt_id, text)
        elif kind == RequestType.FINALIZE and (statement := statement_id(request.data)) is not None:
            self._forget(statement)

    def _keep(self, statement: int, text: str) -> None:
        self._forget(statement)
        self._texts[statement] = text
        self.size += len(text)
        while len(self._texts) > MAX_STATEMENTS or self.size > MAX_TEXTS:
            self._forget(next(iter(self._texts)))

    def _forget(self, statement: int) -> None:
        self.size -= len(self._texts.pop(statement, ""))
