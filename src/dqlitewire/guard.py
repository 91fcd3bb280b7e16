"""The guard of every public method that changes an object: one owner at a time, and interrupts anywhere.

Two things go wrong with an object that the user's own loop feeds: a second thread enters a method while the
first is inside, and an interrupt (`KeyboardInterrupt` of a signal, but also `MemoryError` or
`RecursionError`) strikes between two bytecodes and leaves the method half done. The promise is the same for
both. A call is refused and has done nothing, or it has done everything, or the object is broken and says so
at every later use until it is reset. No byte, frame or answer is lost or doubled in silence. It holds for a
first interrupt, and for a second one that strikes while the first is handled.

The owner's mark. `Guarded._idle` is a slot that is there while nobody is inside. `del self._idle` takes the
mark: one bytecode, which fails with an AttributeError if the mark is gone, so no second thread gets in (a
lock would cost ten times as much). The mark is gone for good when the object is broken. So the common call
pays for one test, and any way out that is not handled here leaves an object that refuses further use.

The states, and what moves an object between them:

    idle                  _idle set                        a call deletes _idle             -> inside
    inside                _idle gone, _error None or []    the method returns               -> idle
                                                           an error of ORDINARY             -> idle
                                                           a ServerFailure                  -> failing
                                                           any other error                  -> broken
    failing               _idle gone, _error a list        the next call pops the failure   -> inside
    broken                _idle gone, _error the cause     `resetting` method               -> idle

"failing" exists because a ServerFailure is the one ordinary error that takes a frame out of the stream: until
it has left the guard, an interrupt that replaces it would lose that frame (`_on_its_way`).

The generated guard. Methods are written without a thought of all this; `guarded` puts each into a function
that is generated once for each list of parameters:

    def guard(self, a0):
        try:                                  # three times, one inside the other
            try: del self._idle
            except AttributeError: self._contested(method)
            result = (
                method(self, a0)
            )
            self._idle = True
            return result
        except:
            self._leave(method)               # gives the mark back after an ordinary error, else breaks
            raise

Why three levels: the first bytecodes of a handler are not protected by its own `try`. One level is for an
error of the method, and one more for each of two interrupts. Each level does the whole of `_leave`, which
changes nothing when it is done again. A `try` costs nothing while nothing is raised.

Why the exception table is rewritten: the compiler ends the protected range before the RETURN_VALUE inside a
`try`, so an interrupt at that bytecode would leave through no handler, and take the result with it.
`_reach_return` makes the range one instruction longer:

    compiled      | del _idle ... call ... store _idle |  RETURN_VALUE      no handler at the last bytecode
    rewritten     | del _idle ... call ... store _idle    RETURN_VALUE |    the handler breaks the object

What is left to a method: an error of ORDINARY is raised before anything has changed, or the method calls
`_break` itself. What only reads needs no guard. tests/test_interrupts.py strikes at every bytecode, once and
twice.
"""

from __future__ import annotations

from sys import exc_info
from types import FunctionType

from .exceptions import ConcurrentUseError, PoisonedError, ProtocolError, ServerFailure
from .generated import define

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "ORDINARY",
    "Guarded",
    "bare",
    "even_broken",
    "frame_of",
    "guarded",
    "guarded_steps",
    "has_returned",
    "resetting",
    "unguarded",
]

# What a method may raise without breaking its object: any other error may have struck anywhere.
ORDINARY = (ProtocolError, TypeError, ValueError)
_LEVELS = 3


class Guarded:
    """An object whose methods are `guarded`."""

    __slots__ = ("_error", "_idle")

    def __init__(self) -> None:
        # what broke the object; or in a list, until the next call takes it out, a ServerFailure it has raised
        self._error: BaseException | list[ServerFailure] | None = None
        self._idle = True  # the mark; where it is, `_error` says nothing

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied or pickled")

    @property
    def is_poisoned(self) -> bool:
        """Whether an error or an interrupt has broken the object, so that it refuses further use."""
        return self._broken_by is not None

    @property
    def _broken_by(self) -> BaseException | None:
        error = self._error
        if error is None or hasattr(self, "_idle"):
            return None
        return _on_its_way(error) if isinstance(error, list) else error

    def _contested(self, method: Callable[..., Any]) -> None:
        """Refuse a call that found no mark, unless it may go on without."""
        error, broken_by = self._error, self._broken_by
        if broken_by is not None:
            if method not in _allowed_broken:
                self._refuse(broken_by)
            return
        if isinstance(error, list):
            try:
                error.pop()  # of several threads one can
                return
            except IndexError:
                pass
        raise ConcurrentUseError(f"{type(self).__name__} is in use by another thread") from None

    def _refuse(self, broken_by: BaseException) -> NoReturn:
        raise PoisonedError(f"poisoned by {type(broken_by).__name__}: {broken_by}") from broken_by

    def _idle_unless_broken(self) -> None:
        """Give the mark back to an object that is whole."""
        if self._broken_by is None:
            self._idle = True

    def _check_whole(self) -> None:
        """Raise if the object is broken: for what only reads."""
        broken_by = self._broken_by
        if broken_by is not None:
            self._refuse(broken_by)

    def _leave(self, method: Callable[..., Any]) -> None:
        """Give the mark back after an ordinary error; break the object after one that may strike anywhere."""
        self._left(_current(), method)

    def _left(self, error: BaseException, method: Callable[..., Any]) -> None:
        if _is_refusal(error):  # the mark was not taken
            if isinstance(self._error, list) and not isinstance(error, ORDINARY):
                self._break(error)  # but what stands for it may have been
        elif not isinstance(error, ORDINARY):
            self._break(error)
        elif isinstance(error, ServerFailure):
            self._error = [error]
        elif self._error is None or (self._error is not error and method not in _allowed_broken):
            self._error = None  # or a trace of `_break` that was interrupted while the mark was there
            self._idle = True

    def _leave_steps(self, method: Callable[..., Any]) -> None:
        """Break the object after an interrupt; other errors come from what is iterated over."""
        error = _current()
        if isinstance(error, (MemoryError, RecursionError)) or not isinstance(
            error, (Exception, GeneratorExit)
        ):
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """Refuse every further use because of an error; the first one stays."""
        if self._error is None or isinstance(self._error, list):
            self._error = error
        try:
            del self._idle
        except AttributeError:
            pass


def _current() -> BaseException:
    error = exc_info()[1]
    assert error is not None
    return error


def _first(error: BaseException) -> BaseException:
    """Return what the guard that handles an error has met first, before any interrupt of its handlers."""
    while (earlier := error.__context__) is not None and _frame(earlier) is _frame(error):
        error = earlier
    return error


def _frame(error: BaseException) -> FrameType | None:
    trace = error.__traceback__
    return None if trace is None else trace.tb_frame


def _is_refusal(error: BaseException) -> bool:
    """Tell whether a call found no mark: its guard, and nothing below it, has raised an AttributeError."""
    first = _first(error)
    trace = first.__traceback__
    return isinstance(first, AttributeError) and trace is not None and trace.tb_next is None


def has_returned(error: BaseException) -> bool:
    """Tell whether an interrupt of a guarded call came when its method had returned."""
    trace = _first(error).__traceback__
    return trace is not None and trace.tb_lineno in _BEHIND_CALL


def frame_of(method: Callable[..., Any], error: BaseException) -> FrameType | None:
    """Return the frame of a guarded method that an error came through, None if it had not begun or had
    returned."""
    trace = _first(error).__traceback__
    below = None if trace is None else trace.tb_next
    return below.tb_frame if below is not None and below.tb_frame.f_code is method.__code__ else None


def _on_its_way(failures: list[ServerFailure]) -> ServerFailure | None:
    """Return a ServerFailure that has not left the guard.

    It is the one ordinary error that takes something out of a stream. An interrupt on its way out replaces
    it, and then the caller's frame is not in its traceback.
    """
    for failure in failures:
        frame = _frame(failure)
        if frame is not None and frame.f_code.co_filename in _files:
            return failure
    return None


_CALL = """
try: del self._idle
except AttributeError: self._contested(method)
result = (
    method(self{arguments})
)
self._idle = True
return result
"""
# without a branch of its own: from 3.14 on one has an instruction (NOT_TAKEN) that no `try` protects
_CALL_OF_BROKEN = _CALL.replace("self._idle = True", "self._idle_unless_broken()")
_STEPS = "yield from method(self{arguments})"
_LEVEL = "try:\n{body}\nexcept:\n    self.{handler}(method)\n    raise"


def guarded(method: F) -> F:
    """Let one thread at a time into a method, and break its object when an interrupt strikes inside."""
    made: F = _guarded(method, _CALL)
    return made


def resetting(method: F) -> F:
    """Guard a method that makes a broken object whole."""
    _allowed_broken.add(method)
    return guarded(method)


def even_broken(method: F) -> F:
    """Guard a method that a broken object still has, and after which it is as broken as before."""
    _allowed_broken.add(method)
    made: F = _guarded(method, _CALL_OF_BROKEN)
    return made


def guarded_steps(method: F) -> F:
    """Break the object when an interrupt strikes inside a generator, which others may interleave."""
    made: F = _guarded(method, _STEPS)
    return made


def _guarded(method: Any, body: str) -> Any:
    count, by_name = method.__code__.co_argcount, method.__code__.co_kwonlyargcount
    names = method.__code__.co_varnames[: count + by_name]
    guard = _guard_of(count - 1, names[count:], body)
    code = guard.__code__.replace(
        co_name=method.__name__,
        co_qualname=method.__qualname__,
        co_varnames=(*names[:count], *guard.__code__.co_varnames[count:]),
    )
    loader = guard.__globals__["__loader__"]  # shows the guard's lines in tracebacks
    space = {"method": method, "__name__": method.__module__, "__loader__": loader}
    made: Any = FunctionType(code, space, method.__name__, method.__defaults__)
    made.__kwdefaults__, made.__annotations__ = method.__kwdefaults__, method.__annotations__
    made.__doc__, made.__wrapped__ = method.__doc__, method
    return made


def _guard_of(by_place: int, by_name: tuple[str, ...], body: str) -> Any:
    """Generate the guard of methods with so many arguments, once."""
    guard = _guards.get((by_place, by_name, body))
    if guard is None:
        places = [f"a{number}" for number in range(by_place)]
        arguments = "".join([f", {name}" for name in places] + [f", {name}={name}" for name in by_name])
        handler = "_leave_steps" if body is _STEPS else "_leave"
        lines = body.format(arguments=arguments)
        for _ in range(_LEVELS):
            lines = _LEVEL.format(body=_indented(lines), handler=handler)
        parameters = ", ".join(["self", *places, *(["*", *by_name] if by_name else [])])
        source = [f"def guard({parameters}):", *_indented(lines).splitlines()]
        guard = define(f"guard_{len(_guards)}({parameters})", "guard", source, {})
        _guards[by_place, by_name, body] = guard
        _reach_return(guard)
        _files.add(guard.__code__.co_filename)
    return guard


_allowed_broken: set[Callable[..., Any]] = set()

# The lines of a guard that run when the method has returned: the result is stored on the line of its name.
_BEHIND_CALL = (_LEVELS + 4, _LEVELS + 7, _LEVELS + 8)

_guards: dict[tuple[int, tuple[str, ...], str], Any] = {}  # by number and names of parameters, and body
_files: set[str] = set()  # the file names of the guards


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def bare(method: F) -> F:
    """Return a bound method without its guard, for an owner that is guarded itself."""
    made: F = unguarded(method).__get__(method.__self__)  # type: ignore[attr-defined]
    return made


def unguarded(method: F) -> F:
    """Return the method that a guard was made for."""
    made: Any = method
    return made.__wrapped__  # type: ignore[no-any-return]


# ---- the table of exceptions (CPython Objects/exception_handling_notes.txt, 3.11 and later)


def _return(value: object) -> object:
    return value


_RETURN_VALUE = _return.__code__.co_code[-2:-1]


def _reach_return(guard: Any) -> None:
    """Let each range of a function's exception table that ends before a RETURN reach over it."""
    code = guard.__code__
    instructions = code.co_code  # made anew each time
    numbers = _unpacked(code.co_exceptiontable)
    for entry in range(0, len(numbers), 4):
        behind = 2 * (numbers[entry] + numbers[entry + 1])
        if instructions[behind : behind + 1] == _RETURN_VALUE:
            numbers[entry + 1] += 1
    guard.__code__ = code.replace(co_exceptiontable=_packed(numbers))


def _unpacked(table: bytes) -> list[int]:
    """Return start, length, target and depth of each range; numbers of 6 bits a byte, the highest first."""
    numbers: list[int] = []
    number = 0
    for byte in table:
        number = number << 6 | byte & 0x3F
        if not byte & 0x40:  # the last byte of a number
            numbers.append(number)
            number = 0
    return numbers


def _packed(numbers: list[int]) -> bytes:
    table = bytearray()
    for index, number in enumerate(numbers):
        start = len(table)
        for shift in range(6 * ((number.bit_length() - 1) // 6), 0, -6):
            table.append(number >> shift & 0x3F | 0x40)
        table.append(number & 0x3F)
        if index % 4 == 0:  # the first byte of a range says so
            table[start] |= 0x80
    return bytes(table)
