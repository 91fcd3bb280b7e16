"""What threads share: a list of all of it, with the reason why it is safe; a stress test; and its bounds."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import threading
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import pytest

import dqlitewire
from dqlitewire import ValueType, decode_message
from dqlitewire.caches import Cache, Credit
from dqlitewire.declare.declared import REGISTRY, Declared
from dqlitewire.declare.fields import text, u64
from dqlitewire.explain import explain
from dqlitewire.messages import ExecRequest, RowsResponse
from dqlitewire.messages.base import Request
from dqlitewire.rows import compiled_writers, write
from dqlitewire.rows import params as rows_params
from dqlitewire.rows import shapes as writers
from dqlitewire.rows import tiers as rows
from dqlitewire.sql import normalise as normal
from dqlitewire.sql import survey as sql
from tests.fuzz import checks
from tests.fuzz.frames import CODES, packed, value_of

ROOT = Path(dqlitewire.__file__).parent

# ---------------------------------------------------------------- the list

CACHE = "a Cache: single steps of a dict, bounded, never iterated"
FIRST_USE = "set once to one of equal values: a race makes it twice"
CONSTANT = "never changed once the module is imported"
SWITCH = "changed by tests and benchmarks, each a single step between two that give the same"
PER_CALL = "holds no state of its own"

KNOWN = {
    "speedups.py: alike": SWITCH,
    "speedups.py: name": SWITCH,
    "speedups.py: read_part": SWITCH,
    "speedups.py: read_rows": SWITCH,
    "speedups.py: why": SWITCH,
    "speedups.py: write_params": SWITCH,
    "speedups.py: write_rows": SWITCH,
    "dispatch.py: LEGACY_READERS": FIRST_USE,
    "dispatch.py: REQUEST_READERS": FIRST_USE,
    "dispatch.py: RESPONSE_READERS": FIRST_USE,
    "client/connection.py: LIMITS": CONSTANT,
    "conversation/frames.py: STRICT": PER_CALL,
    "sql/normalise.py: _NORMAL": CACHE,
    "conversation/observer/resync.py: _HEADERS": FIRST_USE,
    "conversation/observer/raft_stream.py: _PREAMBLES": FIRST_USE,
    "traffic/sources/direction.py: AS_RAFT": CONSTANT,
    "sql/survey.py: SURVEYS": CACHE,
    "sql/survey.py: _PLAIN": CONSTANT,
    "declare/declared.py: cls.__abstractmethods__": "set while the class is made",
    "guard.py: _allowed_broken": "changed while classes are made",
    "guard.py: _files": "changed while classes are made",
    "guard.py: _guards": "set while classes are made, each once to one of equal functions",
    "limits.py: DEFAULT_LIMITS": CONSTANT,
    "limits.py: DEFAULT_OPTIONS": CONSTANT,
    "declare/declared.py: REGISTRY": "changed by declarations only, which stand in modules",
    "testing/node/encoders.py: _cold": "single steps of a dict, bounded, never iterated",
    "testing/node/encoders.py: _compiled": "single steps of a dict, bounded, never iterated",
    "testing/serving/forks.py: _kept": "appended to in a forked child, with one thread",
    "testing/serving/forks.py: _watched": "single steps of a set; iterated in a forked child",
    "servers/sql_hazards.py: ACTS": CONSTANT,
    "servers/sql_hazards.py: PRAGMAS": CONSTANT,
    "servers/sql_hazards.py: _HEAP_LIMIT": CONSTANT,
    "servers/sql_hazards.py: _RETURNING": CONSTANT,
    "servers/sql_hazards.py: _RETURNING_BY_EXEC": CONSTANT,
    "servers/releases.py: _COWSQL": "cannot be changed",
    "servers/releases.py: _REFUSED_BY_AUTHORIZER": CONSTANT,
    "servers/releases.py: _REFUSED_BY_VFS": CONSTANT,
    "servers/releases.py: _V1_11": "cannot be changed",
    "sql/names.py: _NAMES": CACHE,
    "testing/node/authorizer.py: FREE": CONSTANT,
    "testing/node/session.py: _LIMITS": CONSTANT,
    "testing/node/workspace.py: _NO_VALUES": CONSTANT,
    "dial/probing.py: LIMITS": CONSTANT,
    "cli/cells.py: _BOOLEANS": "cannot be changed",
    "cli/cells.py: _NULL": "cannot be changed",
    "cli/shell/dots.py: DOTS": "filled at import, only read",
    "dial/options.py: PLAIN": CONSTANT,
    "messages/by_hand.py: write_rows": FIRST_USE,
    "rows/write.py: favourites": CACHE,
    "rows/write.py: row_shapes": CACHE,
    "declare/declared.py: cls.__init__": FIRST_USE,
    "declare/declared.py: cls._frame": FIRST_USE,
    "declare/declared.py: cls.encode": FIRST_USE,
    "faults/fault.py: cls.__doc__": "set while the class is made",
    "testing/settings.py: cls.__doc__": "set while the class is made",
    "generated.py: _loaders": "single steps of a dict; iterated as a copy, made in one step",
    "rows/tiers.py: tiers": "caches and credit; a full set of readers is replaced, not cleared",
    "traffic/failures.py: _OTHER_INFO": CONSTANT,
    "traffic/sources/formats.py: FOREIGN": CONSTANT,
    "traffic/sources/formats.py: FORMATS": CONSTANT,
    "values.py: KINDS": CONSTANT,
    "replay/sameness.py: TOLERANT": PER_CALL,
    "rows/params.py: chunk_shapes": CACHE,
    "rows/params.py: params_shapes": CACHE,
}
KNOWN_OF_CLASSES = {
    "_STEPS": CONSTANT,
    "_readers": "decoders by schema, each set once to one of equal functions",
}
#: of named tuples, which the standard library makes and nobody changes
OF_NAMED_TUPLES = {"_field_defaults"}
METHODS = """
    add append appendleft clear discard extend forget insert pop popitem popleft remove reverse setdefault
    sort update write __setitem__
"""
CHANGING = METHODS.split()


MUTABLE = (dict, list, set, bytearray, deque)


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Names bound at the top of a module, with what they are bound to."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(name, ast.Name):
                        yield name.id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value
        elif isinstance(node, (ast.If, ast.Try)):
            yield from assigned(node.body + node.orelse)


def changed(node: ast.AST) -> Iterator[ast.expr]:
    """What a node of the tree changes in place: the object of a subscript, an attribute or a method."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target
    elif isinstance(node, ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        yield node.func.value
    for target in targets:
        if isinstance(target, ast.Subscript):
            yield target.value
        elif isinstance(target, ast.Attribute):
            yield target if isinstance(target.value, ast.Name) and target.value.id == "cls" else target.value


def shared_mutables() -> set[str]:
    trees = dict(modules())
    stateful = {
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not any("Enum" in ast.unparse(base) for base in node.bases)
    }
    found = set()
    for name, tree in trees.items():
        top = dict(assigned(tree.body))
        imported = {
            alias.asname or alias.name: f"{(node.module or '').replace('.', '/')}.py: {alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names
        }
        for bound, value in top.items():
            calls = [node.func for node in ast.walk(value) if isinstance(node, ast.Call)] if value else []
            if any(isinstance(called, ast.Name) and called.id in stateful for called in calls):
                found.add(f"{name}: {bound}")
        for function in ast.walk(tree):
            if isinstance(function, ast.Global):
                found |= {f"{name}: {bound}" for bound in function.names}
            if not isinstance(function, (ast.FunctionDef, ast.Lambda)):
                continue
            arguments = {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
            local = {
                n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            for node in ast.walk(function):
                for target in changed(node):
                    shown = ast.unparse(target)
                    if shown.startswith("cls.") or (shown in top and shown not in arguments | local):
                        found.add(f"{name}: {shown}")
                    elif shown in imported and shown not in arguments | local and shown.isupper():
                        found.add(imported[shown].rpartition("/")[2])
    return found


def test_every_mutable_that_threads_share_is_known() -> None:
    """A new one is to be added above, with the reason why any number of threads may use it."""
    assert shared_mutables() == set(KNOWN)


def test_every_mutable_of_a_class_is_known() -> None:
    found = set()
    for module in pkgutil.walk_packages([str(ROOT)], "dqlitewire."):
        for cls in vars(importlib.import_module(module.name)).values():
            if (
                inspect.isclass(cls)
                and cls.__module__.startswith("dqlitewire.")
                and not issubclass(cls, Enum)
            ):
                kept = {name for name, value in vars(cls).items() if isinstance(value, MUTABLE)}
                kept -= OF_NAMED_TUPLES if issubclass(cls, tuple) else set()
                found |= {name for name in kept if not name.startswith("__")}
    assert found == set(KNOWN_OF_CLASSES)


# ---------------------------------------------------------------- many threads, each with objects of its own


def in_threads(work: Callable[[Random], None], count: int = 4) -> None:
    """Run in several threads that are switched as often as can be, and raise what they raised."""
    failed: list[BaseException] = []
    ready = threading.Barrier(count)

    def guarded(seed: int) -> None:
        try:
            ready.wait(60)
            work(Random(seed))
        except BaseException as error:
            failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    finally:
        sys.setswitchinterval(before)
    if failed:
        raise failed[0]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Cache[Any, Any]]:
    """Everything shared new, so small that it is cleared all the time, and compiling at once."""
    monkeypatch.setattr(rows, "MAX_COMPILED", 2)
    monkeypatch.setattr(rows, "tiers", checks.hot())
    caches = list(rows.tiers.cold)
    shapes = [writers.Shapes(heat=1) for _ in range(4)]
    monkeypatch.setattr(rows_params, "params_shapes", tuple(shapes[:2]))
    monkeypatch.setattr(rows_params, "chunk_shapes", shapes[2])
    monkeypatch.setattr(write, "row_shapes", shapes[3])
    monkeypatch.setattr(write, "favourites", Cache(2, 1 << 20))
    for one in shapes:
        one.credit = checks.Unlimited(1, 1)
        caches += [one.compiled, one.cold]
    caches += [write.favourites, sql.SURVEYS, normal._NORMAL]
    for cache in caches:
        monkeypatch.setattr(cache, "entries", 2)
    return caches


def values_of(rng: Random) -> list[Any]:
    return [value_of(rng.choice((1, 2, 3, 4, 5, 11)), rng) for _ in range(rng.choice((1, 2, 3, 70)))]


def use_everything(rng: Random) -> None:
    for _ in range(60):
        codes = [tuple(rng.choices(CODES, k=rng.choice((1, 2, 17)))) for _ in range(2)]
        types = [codes[0]] * rng.choice((1, 20)) + [kind for kind in codes if len(kind) == len(codes[0])]
        values = [tuple(value_of(code, rng) for code in kind) for kind in types]
        frame = packed([f"c{rng.random()}" for _ in codes[0]], types, values)
        message = decode_message(frame.data)
        assert checks.outcome(frame.data) == checks.expected(frame)
        assert message.encode() == frame.data
        again = RowsResponse(frame.names, [], [list(map(ValueType, kind)) for kind in types], values)
        assert again.encode() == frame.data
        assert explain(frame.data, is_request=False).error is None
        request = ExecRequest(0, 0, values_of(rng), schema=1)
        for _ in range(2):
            assert repr(decode_message(request.encode(), is_request=True)) == repr(request)
        word = rng.choice(("INSERT OR ROLLBACK", "SELECT", "SAVEPOINT"))
        assert sql.survey(f"{word} {rng.random()}").verbs == (word.partition(" ")[0],)
        assert sql.normalise(f"SELECT {rng.random()} FROM a") == "SELECT ? FROM a"


def test_threads_that_own_different_objects_do_not_meet(small: list[Cache[Any, Any]]) -> None:
    in_threads(use_everything)
    assert all(len(cache) <= 2 + 4 for cache in small)
    assert all(len(compiled) <= 2 + 4 for compiled in rows.tiers.compiled)


def test_code_is_generated_while_several_threads_wait_for_it() -> None:
    known = dict(REGISTRY)
    try:
        for _ in range(10):
            fields = {"first": u64(), "title": text(cap="max_filename_size")}
            cls: Any = Declared("Odd", (Request,), {"__module__": __name__, **fields}, code=200)

            def work(_: Random, cls: Any = cls) -> None:
                message = cls(1, "title")
                assert cls.decode_body(message.encode()[8:]) == message

            in_threads(work)
    finally:
        REGISTRY.clear()
        REGISTRY.update(known)


def test_a_cache_is_neither_iterated_nor_indexed() -> None:
    for name in ("__iter__", "__getitem__", "keys", "values", "items"):
        assert not hasattr(Cache, name)


def test_credit_is_spent_once() -> None:
    credit, taken = Credit(500, 1), []

    def work(_: Random) -> None:
        taken.extend(credit.spend() for _ in range(250))

    in_threads(work)
    assert (taken.count(True), len(credit)) == (500, 0)


# ---------------------------------------------------------------- bounds


def held(make: Callable[[], object]) -> int:
    """Return how many bytes more are held after a call, its result included."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = make()
        found = tracemalloc.get_traced_memory()[0] - before
        del kept
        return found
    finally:
        tracemalloc.stop()


def hostile(width: int, height: int) -> bytes:
    """A frame whose rows all have types of their own."""
    rng = Random(width)
    types = [tuple(rng.choices((1, 2, 5, 9, 11), k=width)) for _ in range(height)]
    return packed(["a"] * width, types, [(0,) * width] * height).data


def test_what_is_kept_of_the_rows_of_a_peer_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [hostile(256, 300), hostile(2000, 60)]

    def decode() -> rows.Tiers:
        tiers = rows.Tiers(heat=1 << 60)
        monkeypatch.setattr(rows, "tiers", tiers)
        for frame in frames:
            decode_message(frame)
        return tiers

    assert held(decode) < rows.MAX_WIDE_COLD * rows._cold_size(256) + 200_000


def test_wide_readers_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_WIDE_COMPILED", 4)
    tiers = checks.hot()
    with checks.using(tiers):
        for width in (rows.NARROW, rows.NARROW + 1):
            decode_message(hostile(width, 20))
            assert len(tiers.compiled[1]) <= 4
    assert len(tiers.compiled[0]) == 20
    assert len(tiers.compiled[1]) > 0


@pytest.mark.parametrize("width", [1, 32, 64, 256])
def test_sizes_that_caches_reckon_with_are_not_too_small(width: int) -> None:
    rng = Random(width)
    types = tuple(map(ValueType, rng.choices((1, 2, 3, 4, 5, 11), k=width)))
    header = rows.row_header(types)

    def entry() -> object:
        tiers = rows.Tiers()
        for n in range(20):
            tiers.see(n, bytes(bytearray(header)), width)
        return tiers

    empty = held(rows.Tiers)
    assert (held(entry) - empty) / 20 < rows._cold_size(width)
    if width <= writers.MAX_GENERATED:
        made = held(lambda: [compiled_writers.compile_row_writer(header, types) for _ in range(20)]) / 20
        assert made < writers.WRITER_SIZE
        cold = (
            held(lambda: {(header, (int,) * width + (n,)): writers.Shape(header, types) for n in range(20)})
            / 20
        )
        assert cold < writers.COLD_SIZE


def test_what_is_kept_of_texts_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    surveys: Cache[str, Any] = Cache(16, sql.SURVEYS.size)
    normals: Cache[str, str] = Cache(16, normal._NORMAL.size)
    monkeypatch.setattr(sql, "SURVEYS", surveys)
    monkeypatch.setattr(normal, "_NORMAL", normals)
    tails = (";A" * 30, "a" * 3000, "\U0001f600" * 700, "PRAGMA a;" * 12, ";x" * 2000, "x" * 9000)

    def flood() -> None:
        for n in range(8):
            for tail in tails:
                sql.survey(f"{n};{tail}")
                sql.normalise(f"{n} {tail}")

    assert held(flood) < surveys.entries * surveys.size + normals.entries * normals.size
    assert 0 < len(surveys) <= surveys.entries


def test_writers_are_bought_with_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name in ("compile_writer", "compile_row_writer"):
        make = getattr(compiled_writers, name)
        monkeypatch.setattr(
            compiled_writers, name, lambda *given, make=make: made.append(given) or make(*given)
        )
    monkeypatch.setattr(rows_params, "params_shapes", (writers.Shapes(), writers.Shapes()))
    monkeypatch.setattr(write, "row_shapes", writers.Shapes())
    with checks.native(False):
        check_purchases(made)


def check_purchases(made: list[Any]) -> None:
    kinds = [1, 0.5, "x", b"x", None, True]
    for count, build in (
        (400, lambda values: [ExecRequest(0, 0, values)] * 20),
        (400, lambda values: [RowsResponse(["a"] * 5, [], [], [values] * 20)]),
    ):
        made.clear()
        for n in range(count):
            values = [kinds[n // 6**i % 6] for i in range(5)]
            for message in build(values):
                message.encode()
        assert (
            writers.MAX_CREDIT < len(made) <= writers.MAX_CREDIT + count * 20 // writers.USES_PER_CREDIT + 1
        )
    made.clear()
    for _ in range(3):  # one that keeps coming is compiled however many came before
        for _ in range(writers.USES_PER_CREDIT):
            ExecRequest(0, 0, [1, 2, 3, 4, 5, 6, 7]).encode()
    assert len(made) == 1
