"""The calls with which a test orders faults: one for each kind, with that kind's own arguments."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from dqlitewire.faults.checks import shown
from dqlitewire.faults.fault import Fault
from dqlitewire.faults.kinds import Corrupt, Delay, Drop, Fail, Hold, Split
from dqlitewire.faults.ordered import FaultList

__all__ = ["FaultMethods"]

P = ParamSpec("P")
F = TypeVar("F", bound=Fault)


def _orders(name: str, kind: Callable[P, F]) -> Callable[Concatenate[FaultMethods, P], F]:
    def method(self: FaultMethods, /, *args: P.args, **kwargs: P.kwargs) -> F:
        return self.order(kind(*args, **kwargs))

    # the kind's own signature and docstring, for `help` and editors
    taken = inspect.signature(kind)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = taken.replace(parameters=[this, *taken.parameters.values()], return_annotation="Fault")
    setattr(method, "__signature__", signature)  # noqa: B010  no attribute that functions are known to have
    method.__name__, method.__qualname__ = name, f"FaultMethods.{name}"
    method.__doc__ = kind.__doc__
    return method


class FaultMethods(ABC):
    """Faults for all nodes of a server or cluster; they strike in the order in which they were ordered.

    Every call takes the arguments of its kind of fault, and those that all faults have (see `Fault`): `on`,
    `sql`, `connection`, `times`, `after`, `direction`, `probability`. It returns the fault.
    """

    @property
    @abstractmethod
    def _faults(self) -> FaultList:
        """The list that orders are added to; each class that takes orders has its own."""

    @property
    def _one_node(self) -> int | None:
        # the id of the node that orders are for, None for all
        return None

    def order(self, fault: F) -> F:
        """Order a fault made by hand, of a kind of one's own for example.

        Args:
            fault: The fault.

        Raises:
            TypeError: It is no fault, or one whose class forgot the constructor of `Fault`.
            RuntimeError: Nothing runs.
        """
        if not isinstance(fault, Fault):  # pyright: ignore
            raise TypeError(f"fault {shown(fault)}, must be a Fault")
        if not hasattr(fault, "hits"):
            raise TypeError(f"fault of {type(fault).__name__:.40}, must call `Fault.__init__` in its own")
        ordered = self._faults
        fault._node = self._one_node
        ordered.order(fault)
        return fault

    def clear_faults(self) -> None:
        """Cancel all ordered faults.

        Raises:
            RuntimeError: Nothing runs.
        """
        self._faults.clear()

    fail_next = _orders("fail_next", Fail)
    drop_after = _orders("drop_after", Drop)
    delay = _orders("delay", Delay)
    split_writes = _orders("split_writes", Split)
    corrupt = _orders("corrupt", Corrupt)
    hold = _orders("hold", Hold)
