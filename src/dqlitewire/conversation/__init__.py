"""The protocol's order, without I/O: who may say what when, for clients, servers, and observers of both.

`ClientConversation` and `ServerConversation` are the two ends, `Observer` follows a connection of others. All
three read one table (`dqlitewire.conversation.table`), so that they agree on what may follow what:

    ClientConversation   send(request) -> bytes     receive(bytes) -> events, each with its request
    ServerConversation   receive(bytes)             next_request() -> request     answer(message) -> bytes
    Observer             receive(side, bytes) -> frames and exchanges, whatever the bytes are

Nothing here opens a socket, starts a thread or waits.

Each of the three is imported when somebody asks for it: a client has no use for the other two.
"""

from __future__ import annotations

from ..later import attributes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..servers.aftermath import Stage
    from ..servers.failures import FailureInfo, Outcome, Retry, explain_failure, failure_name
    from ..servers.generation import Generation, judge_generation, probe_generation
    from ..servers.hazards import Hazard, HazardError
    from .batches import batch_rows
    from .client import ClientConversation
    from .errors import WrongAnswerError
    from .events import (
        Answered,
        Ended,
        Ending,
        Event,
        Failed,
        Interrupted,
        Lost,
        Phase,
        Probed,
        Rows,
        SessionLost,
        Side,
    )
    from .frames import LazyFrame, RawRequest
    from .incoming import BadHeader, Greeting, Incoming, Refused
    from .observer.exchange import Exchange, Frame
    from .observer.observer import Observer
    from .observer.raft_frame import RaftFrame
    from .observer.stream_events import End, Gap, Garbage, Opaque, Preamble
    from .server import ServerConversation
    from .session import Session, Statement
    from .table import TABLE, Place, Step, Turn, follow

__getattr__, __dir__ = attributes_of(
    __name__,
    {
        "dqlitewire.servers.aftermath": ("Stage",),
        "dqlitewire.servers.failures": ("FailureInfo", "Outcome", "Retry", "explain_failure", "failure_name"),
        "dqlitewire.servers.generation": ("Generation", "judge_generation", "probe_generation"),
        "dqlitewire.servers.hazards": ("Hazard", "HazardError"),
        "dqlitewire.conversation.batches": ("batch_rows",),
        "dqlitewire.conversation.client": ("ClientConversation",),
        "dqlitewire.conversation.errors": ("WrongAnswerError",),
        "dqlitewire.conversation.events": (
            "Answered",
            "Ended",
            "Ending",
            "Event",
            "Failed",
            "Interrupted",
            "Lost",
            "Phase",
            "Probed",
            "Rows",
            "SessionLost",
            "Side",
        ),
        "dqlitewire.conversation.frames": ("LazyFrame", "RawRequest"),
        "dqlitewire.conversation.incoming": ("BadHeader", "Greeting", "Incoming", "Refused"),
        "dqlitewire.conversation.observer.exchange": ("Exchange", "Frame"),
        "dqlitewire.conversation.observer.observer": ("Observer",),
        "dqlitewire.conversation.observer.raft_frame": ("RaftFrame",),
        "dqlitewire.conversation.observer.stream_events": ("End", "Gap", "Garbage", "Opaque", "Preamble"),
        "dqlitewire.conversation.server": ("ServerConversation",),
        "dqlitewire.conversation.session": ("Session", "Statement"),
        "dqlitewire.conversation.table": ("TABLE", "Place", "Step", "Turn", "follow"),
    },
)

__all__ = [
    "TABLE",
    "Answered",
    "BadHeader",
    "ClientConversation",
    "End",
    "Ended",
    "Ending",
    "Event",
    "Exchange",
    "Failed",
    "FailureInfo",
    "Frame",
    "Gap",
    "Garbage",
    "Generation",
    "Greeting",
    "Hazard",
    "HazardError",
    "Incoming",
    "Interrupted",
    "LazyFrame",
    "Lost",
    "Observer",
    "Opaque",
    "Outcome",
    "Phase",
    "Place",
    "Preamble",
    "Probed",
    "RaftFrame",
    "RawRequest",
    "Refused",
    "Retry",
    "Rows",
    "ServerConversation",
    "Session",
    "SessionLost",
    "Side",
    "Stage",
    "Statement",
    "Step",
    "Turn",
    "WrongAnswerError",
    "batch_rows",
    "explain_failure",
    "failure_name",
    "follow",
    "judge_generation",
    "probe_generation",
]
