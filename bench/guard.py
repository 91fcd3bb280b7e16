"""What the mark of the single owner costs a call.

`feed` and `decode`, which are called for each frame, take the mark in their own bodies: they stand beside the
same source without the statements that take it and give it back.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from bench.candidates import OURS, Codec
from bench.measure import Run, Trial
from bench.small import batch

BARE = "unguarded"


def without_mark(method: Any) -> Any:
    """The method compiled from its source, less every statement about the mark."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    stripped = _Stripped()
    stripped.visit(tree)
    assert stripped.count >= 2, f"{method.__name__}: no mark in its source"
    names: dict[str, Any] = {}
    exec(
        compile("from __future__ import annotations\n" + ast.unparse(tree), "<unguarded>", "exec"),
        vars(sys.modules[method.__module__]),
        names,
    )
    return names[method.__name__]


class _Stripped(ast.NodeTransformer):
    def __init__(self) -> None:
        self.count = 0

    def _drop(self, node: ast.Delete | ast.Assign) -> ast.AST | None:
        if "self._idle" not in ast.unparse(node):
            return node
        self.count += 1
        return None

    visit_Delete = visit_Assign = _drop


def trials(codec: Codec) -> Iterator[Trial]:
    """One for feeding a frame, one for decoding it."""
    _, _, packed = batch("RESULT")
    owner = codec.wire.MessageDecoder
    bare_feed, bare_decode = without_mark(owner.feed), without_mark(owner.decode)

    def feeding(method: Any) -> Run:
        def run() -> list[Any]:
            target = owner()
            for frame in packed:
                method(target, frame)
            return [target.take_frame() for _ in packed]

        return run

    def decoding(method: Any) -> Run:
        stream = b"".join(packed)

        def run() -> list[Any]:
            target = owner()
            target.feed(stream)
            return [method(target).encode() for _ in packed]

        return run

    def check(name: str, result: Any) -> None:
        assert result == packed, f"{name}: other frames than were fed"

    yield Trial(len(packed), {OURS: feeding(owner.feed), BARE: feeding(bare_feed)}, check)
    yield Trial(len(packed), {OURS: decoding(owner.decode), BARE: decoding(bare_decode)}, check)
