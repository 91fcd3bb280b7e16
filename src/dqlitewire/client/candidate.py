"""What is known of a node that may lead: when it is asked next, and in words what came of it so far."""

from __future__ import annotations

import time

from dqlitewire.client.connection import Broken, words
from dqlitewire.dial import Address, Deadline, DialOptions, SilentError, Status, probe
from dqlitewire.text import sanitize_for_log

PAUSE = 0.05  # seconds before a node is asked again, doubled each time
_LONGEST_PAUSE = 0.4
SHORTEST = 1.0  # seconds that an attempt may take at least, where there are as many
_SPEAKS_OTHERWISE = frozenset({Status.UNREACHABLE, Status.NOT_DQLITE})


class Candidate:
    """A node that may lead.

    Args:
        address: where it listens.

    Attributes:
        address: as given.
        said: what came of the last attempt that came to an end, in words; empty before the first.
        definite: whether it cannot be reached, and that is not for want of time.
        step: what is being done with it.
        due: when it is to be asked.
    """

    def __init__(self, address: Address) -> None:
        self.address: Address = address
        self.said: str = ""
        self.definite: bool = False
        self.step: str = ""
        self.due: float = 0.0
        self._pause = PAUSE
        self._met = ""  # the last error of those that were explained

    @property
    def words(self) -> str:
        """What came of it, or what is being waited for."""
        return self.said or (f"connected, but no answer to {self.step}" if self.step else "no answer")

    def rest(self) -> None:
        """Let it be asked again after a pause, which is longer each time."""
        self.due = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def failed(self, error: Exception, seconds: float, options: DialOptions) -> bool:
        """Note why it cannot be asked.

        Args:
            error: what came of the attempt.
            seconds: that it had.
            options: of the connection.

        Returns:
            Whether this is another failure than the last one.
        """
        silent = isinstance(error, TimeoutError) or (isinstance(error, Broken) and error.silent)
        self.definite = not silent
        if silent and self.said and seconds < SHORTEST:
            return False  # too short an attempt to say more than one before
        met = f"{self.step}: {error!r}"
        if met == self._met:
            return False
        self._met = met
        if not silent:
            self.said = f"{self.step}: {error}" if self.step else words(error)
        elif isinstance(error, SilentError) and not self.step:
            self.said = f"connected, but no answer to {_layers(options)}"
        else:
            self.said = ""
            self.said = self.words
        return True

    def look(self, options: DialOptions, deadline: Deadline) -> None:
        """Find out what is wrong with it: `probe` knows the words of TLS, HTTP and other protocols.

        Args:
            options: of the connection.
            deadline: for it.
        """
        definite, self.definite = self.definite, False  # nobody gives it up meanwhile
        try:
            health = probe(str(self.address), deadline.left(), options)
        except ValueError:  # the options make no sense for this address, as `said` tells
            return
        finally:
            self.definite = definite
        if definite and health.status in _SPEAKS_OTHERWISE:
            detail = health.detail  # a sentence of its own, unless it begins with an acronym
            begin = detail[:1] if detail[1:2].isupper() else detail[:1].lower()
            self.said = sanitize_for_log(begin + detail[1:])
        elif health.speaks:
            self.said, self.definite = sanitize_for_log(health.detail), True


def _layers(options: DialOptions) -> str:
    return " or ".join(["TLS"] * options.tls + ["the upgrade"] * (options.upgrade is not None))
