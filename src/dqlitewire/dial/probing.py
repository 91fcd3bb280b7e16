"""Ask a live node how it is; `health` has the questions and what the answers mean.

One deadline stands over everything, so that a peer cannot hold us by saying a little at a time. A peer that
has not answered the first question when half of the time is over, or closes instead, is greeted in other
protocols (`knocking`): TLS and HTTP servers say nothing to a client of dqlite. Meanwhile the answer may come.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from dqlitewire.conversation import ClientConversation, Event
from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.dial.client import CLOSED, SPOKEN, Client, describe_peer, spoken_by
from dqlitewire.dial.errors import ClosedError, SilentError, Unexpected, UpgradeRefusedError
from dqlitewire.dial.health import Health, Question, Questions, Status, ask_again, ask_node
from dqlitewire.dial.knocking import refusal, what_speaks
from dqlitewire.dial.options import PLAIN, DialOptions, tls_words
from dqlitewire.dial.sockets import Deadline, dial
from dqlitewire.limits import Limits
from dqlitewire.messages import LeaderRequest, LeaderResponse

LIMITS = Limits(max_message_size=4 << 20)  # the largest answer names 10 000 nodes
AT_ONCE = 128  # nodes that are asked at a time: so many silent ones keep nobody from being asked


@cache
def _warm_up() -> None:
    """Have the code generated that reads the answer to LEADER: else the first round trip includes that."""
    conversation = ClientConversation()
    conversation.send(LeaderRequest())
    conversation.receive(LeaderResponse(1, "a:1").encode())


def probe(
    address: str,
    timeout: float = 5.0,
    options: DialOptions = PLAIN,
    *,
    node_id: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Health:
    """Ask a node for its leader, cluster, metadata and generation; nothing is changed.

    Args:
        address: where it listens: HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME.
        timeout: seconds for all of it: finding the host, connecting, asking, every answer.
        options: TLS and HTTP upgrade; plain by default.
        node_id: of the node, if it is known; tells its role where its own address is another one.
        clock: counts the seconds.

    Raises:
        AddressError: the address is none.
        ValueError: the options make no sense together, or for this address.
    """
    health = Health(address, Status.UNREACHABLE, node_id=node_id)
    deadline = Deadline(timeout, clock)
    _Probe(Address.parse(address), options, deadline, clock, health).run()
    return health


def probe_all(
    nodes: Iterable[tuple[str, int]], timeout: float = 5.0, options: DialOptions = PLAIN
) -> list[Health]:
    """Probe nodes side by side, so that a silent one keeps nobody waiting for the others.

    Args:
        nodes: the address of each, and its id; 0 where that is not known.
        timeout: seconds for all of it.
        options: TLS and HTTP upgrade; plain by default.

    Returns:
        Their states, in the order of the nodes.

    Raises:
        AddressError: an address is none.
        ValueError: the options make no sense together, or for an address.
    """
    deadline = Deadline(timeout)
    wanted = [
        (Address.parse(address), Health(address, Status.UNREACHABLE, node_id=i)) for address, i in nodes
    ]
    left: SimpleQueue[tuple[Address, Health]] = SimpleQueue()
    for each in wanted:
        left.put(each)
    problems: list[Exception] = []

    def ask() -> None:
        with suppress(Empty):
            while not problems:
                address, health = left.get_nowait()
                try:
                    _Probe(address, options, deadline, time.monotonic, health).run()
                except Exception as error:
                    problems.append(error)

    # daemons: an interrupted command does not wait for what they wait for
    threads = [threading.Thread(target=ask, daemon=True) for _ in wanted[:AT_ONCE]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return [health for _, health in wanted]


def probe_member(
    address: Address, deadline: Deadline, options: DialOptions, node_id: int = 0, *, detects: bool = True
) -> Health:
    """Probe a node of a cluster, and note where the connection went.

    Args:
        address: where it listens.
        deadline: for all of it.
        options: TLS and HTTP upgrade.
        node_id: of the node; 0 where that is not known.
        detects: whether it is greeted in other protocols, should it not answer as a node.

    Raises:
        ValueError: the options make no sense together, or for this address.
    """
    health = Health(str(address), Status.UNREACHABLE, node_id=node_id)
    _Probe(address, options, deadline, time.monotonic, health, detects=detects, traces=True).run()
    return health


@dataclass(slots=True)
class _Probe:
    address: Address
    options: DialOptions
    deadline: Deadline
    clock: Callable[[], float]
    health: Health
    asked: str = ""  # what was asked last
    detects: bool = True  # greet in other protocols what does not answer
    traces: bool = False  # note where the connection went

    def run(self) -> None:
        _warm_up()
        try:
            self.deadline.left()
        except TimeoutError:  # those before it have taken all
            self._failed(f"not asked, for the {self.deadline.seconds:g} s were over", Status.UNREACHABLE)
            return
        try:
            self._connection(PROTOCOL_VERSION, lambda talk: ask_node(self.health, talk, self.clock))
        except TimeoutError as error:
            self._timed_out(isinstance(error, SilentError) or self.health.connected is not None)
        except socket.gaierror as error:
            self._failed(f"no such host ({error.strerror})", Status.UNREACHABLE)
        except OSError as error:
            self._broken(error)
        except Unexpected as error:
            self._strange(error)
        if self.health.status is Status.NO_LEADER:
            with suppress(OSError, Unexpected):  # what the old handshake brings, or not, makes nothing worse
                self._connection(PROTOCOL_VERSION_LEGACY, lambda talk: ask_again(self.health, talk))

    # ------------------------------------------------------------ asking

    def _connection(self, version: int, questions: Callable[[ClientConversation], Questions]) -> None:
        """Ask over a new connection."""
        begin = self.clock()
        sock = dial(self.address, self.deadline, self.options)
        if self.health.connected is None:
            self.health.connected = self.clock() - begin
            if self.traces and self.address.kind is Kind.TCP:
                with suppress(OSError):
                    host, port, *_ = sock.getpeername()
                    self.health.reached = str(Address(Kind.TCP, host, port))
        # the role of a node in a cluster of a later release may be one that we do not know
        conversation = ClientConversation(version, unknown_role_policy="accept", limits=LIMITS)
        with Client(sock, conversation, self.deadline) as client:
            self._ask(questions(conversation), client)

    def _ask(self, questions: Questions, client: Client) -> None:
        with suppress(StopIteration):
            question = next(questions)
            while True:
                self.asked = question.name
                question = questions.send(self._answer(client, question))

    def _answer(self, client: Client, question: Question) -> Event:
        client.send(question.data)
        if self.health.round_trip is None:
            with suppress(TimeoutError):
                return client.answer(self.deadline.share(2))
            if not client.heard and (other := self._recognise()):
                raise Unexpected(other)
        return client.answer()

    # ------------------------------------------------------------ what goes wrong

    def _recognise(self) -> str:
        """Find out what else speaks there: in words, or an empty text."""
        if not self.detects:
            return ""
        with suppress(TimeoutError):
            self.health.speaks = what_speaks(self.address, self.deadline.share(2), self.options)
        return SPOKEN.get(self.health.speaks, "")

    def _timed_out(self, connected: bool) -> None:
        silent = connected and self.health.round_trip is None
        said = f"{'connected, but ' if silent else ''}no answer within {self.deadline.seconds:g} s"
        self._failed(said, Status.SILENT if silent else Status.UNREACHABLE)

    def _broken(self, error: OSError) -> None:
        """The connection did not come to stand, or it failed."""
        said = self._tls_words(error)
        if self.health.round_trip is not None:
            self._failed(CLOSED, Status.FAILING)
        elif said:
            self._failed(said, Status.UNREACHABLE)
        elif self.health.connected is not None:
            self._closed()
        elif self._is_cut_off(error) and (refused := self._refusal_words()):
            self._failed(refused, Status.UNREACHABLE)
        elif isinstance(error, UpgradeRefusedError):
            other = "" if error.is_http else self._recognise()
            self._failed(f"no upgrade: {other}" if other else str(error), Status.UNREACHABLE)
        elif said is not None or isinstance(error, ClosedError):
            missing = "TLS" if self.options.tls else "upgrade"
            other = self._recognise() or "the connection was closed"
            self._failed(f"no {missing}: {other}", Status.UNREACHABLE)
        else:
            said = error.strerror.lower() if error.strerror else str(error)
            self._failed(said, Status.UNREACHABLE)

    def _is_cut_off(self, error: OSError) -> bool:
        """Whether the peer closed in place of the upgrade, which TLS that refuses us looks like."""
        if self.options.upgrade is None or not self.options.tls:
            return False
        if isinstance(error, UpgradeRefusedError):
            return not error.is_http
        return isinstance(error, ClosedError) or self._tls_words(error) == ""

    def _tls_words(self, error: OSError) -> str | None:
        """What TLS says of an error: empty if there seems to be none; None if it is not of TLS."""
        if not self.options.tls:
            return None
        import ssl

        return tls_words(error, self.options) if isinstance(error, ssl.SSLError) else None

    def _closed(self) -> None:
        """The peer closed the connection, and has not said a word."""
        if said := self._refusal_words():
            self._failed(said, Status.UNREACHABLE)
        else:
            self._failed(self._recognise() or CLOSED, Status.NOT_DQLITE)

    def _refusal_words(self) -> str:
        """Find out whether TLS refuses us, which it says behind the handshake: in words, or an empty text."""
        if not self.options.tls:
            return ""
        with suppress(TimeoutError):
            error = refusal(self.address, self.deadline.share(4), self.options)
            return "" if error is None else self._tls_words(error) or ""
        return ""

    def _strange(self, error: Unexpected) -> None:
        if self.health.round_trip is not None or not (error.head or str(error) == CLOSED):
            self._failed(str(error), Status.NOT_DQLITE)
        elif error.head:
            self.health.speaks = spoken_by(error.head)
            self._failed(describe_peer(error.head), Status.NOT_DQLITE)
        else:
            self._closed()

    def _failed(self, detail: str, status: Status) -> None:
        """Note what went wrong: with a node that has answered LEADER, or before that."""
        if self.health.round_trip is not None:
            status, detail = Status.FAILING, f"{self.asked}: {detail}"
        self.health.status, self.health.detail = status, detail
