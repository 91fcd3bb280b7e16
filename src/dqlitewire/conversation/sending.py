"""The sending half of a client's conversation: requests in, bytes out, and the queue of what is open.

A request is refused if the conversation is over, if it is no request, if it would harm the server
(`check_request` looks at its SQL and its handles, `check_frame` at its bytes), or if it cannot be encoded.
Nothing has changed then. The queue and the fast path are explained in `client`.
"""

from __future__ import annotations

from collections import deque

from ..codec import MessageEncoder, encoded
from ..constants import RequestType
from ..exceptions import DecodeError, EncodeError, StreamError
from ..guard import Guarded, guarded
from ..servers.generation import Generation, checked_generation, probe_generation
from ..servers.hazards import CHECKED_FIELDS, MAX_SAFE_BODY, Hazard
from ..servers.refusals import RUNS_SQL, RUNS_STATEMENT
from ..sql.survey import SURVEYS, survey
from ..text import shown
from .events import Phase
from .frame_log import frame_log as frame_logger
from .frames import STRICT, RawRequest, is_roleless, whole_frame
from .hazard_check import check_frame, check_request
from .session import FOLLOWED, Session
from .table import FIRST, UNKNOWN_REQUEST, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ..limits import Limits
    from ..sql.survey import Survey
    from .outcomes import Open

__all__ = ["Probe", "SendingHalf"]


class Probe(RawRequest):
    """A frame whose answer tells the server's generation."""


class SendingHalf(Guarded):
    """What a client's conversation knows of its requests; see `ClientConversation` for the arguments."""

    def __init__(
        self, version: int, generation: Generation, limits: Limits | None, frame_log: bool | None
    ) -> None:
        super().__init__()
        self.version = version
        self.generation: Generation = checked_generation(generation)
        self.session: Session = Session()
        self._phase = Phase.NEW
        self._encoder = MessageEncoder(version, limits=limits)
        self._options = self._encoder._options
        self._queue: deque[Open] = deque()  # what was sent and has not ended
        self._in_row_stream = False  # the decoder is between two ROWS frames of a row stream
        self._unlimited = self._options.max_message_size > MAX_SAFE_BODY
        self._roleless = False  # a CLUSTER was sent that is answered by nodes without roles
        self._sends_fast = self._receives_fast = False  # see `_settle`
        self._log = frame_logger("client", True, frame_log)

    @guarded
    def send(self, request: Any, *, allow: Hazard = Hazard.NONE) -> bytes:
        """Return the bytes of a request, behind those of the handshake if it is the first, and expect its
        answer.

        Args:
            request: the message.
            allow: hazards to take knowingly, combined with `|`.

        Returns:
            The bytes to write to the socket.

        Raises:
            EncodeError: the request cannot be encoded; nothing was sent.
            HazardError: it would harm the server; nothing was sent.
            StreamError: the conversation is over.
        """
        session, seen = self.session, None
        try:
            kind = request.MSG_TYPE
            if kind in RUNS_SQL:
                seen = SURVEYS.get(request.sql) or survey(request.sql)
            elif (
                kind in RUNS_STATEMENT
                and request.IS_REQUEST
                and request.stmt_id in session.statements
                and not session.closing
            ):
                seen = session.statements[request.stmt_id].seen
        except AttributeError:
            raise _no_request(request) from None
        if seen is None or not (seen.plain and self._sends_fast):
            return self._send(kind, request, allow)
        frame = encoded(request, self._options)
        if frame[5]:
            check_frame(kind, frame, self.generation, allow, request)
        self._queue.append((request, frame, FIRST[kind], seen))
        return frame

    def _send(self, kind: int, request: Any, allow: Hazard) -> bytes:
        self._check_phase()
        if not getattr(request, "IS_REQUEST", False):
            raise _no_request(request)
        seen = self._checked(kind, request, allow)
        frame = encoded(request, self._options)
        if kind in CHECKED_FIELDS or frame[5] or len(frame) > MAX_SAFE_BODY:
            check_frame(kind, frame, self.generation, allow, request)
        return self._sent((request, frame, FIRST.get(kind, UNKNOWN_REQUEST), seen))

    @guarded
    def send_frame(self, frame: bytes | bytearray | memoryview, *, allow: Hazard = Hazard.NONE) -> bytes:
        """Return the bytes to send for a request frame, checked like a message as far as it decodes.

        Args:
            frame: exactly one frame, header included. In the events it stands as the message it decodes to,
                or as a `RawRequest`.
            allow: hazards to take knowingly, combined with `|`.

        Returns:
            The frame as bytes, behind those of the handshake if it is the first.

        Raises:
            EncodeError: it is not exactly one whole frame; nothing was sent.
            HazardError: it would harm the server; nothing was sent.
            StreamError: the conversation is over.
        """
        self._check_phase()
        frame = whole_frame(frame, "request")
        kind = frame[4]
        check_frame(kind, frame, self.generation, allow, frame)
        try:
            request: Any = STRICT.read(frame, is_request=True)
        except DecodeError:
            return self._sent((RawRequest(frame), frame, FIRST.get(kind, UNKNOWN_REQUEST), None))
        seen = self._checked(kind, request, allow)
        return self._sent((request, frame, FIRST[kind], seen))

    @guarded
    def send_probe(self, db_id: int | None = None) -> bytes:
        """Return the bytes that ask for the server's generation; the answer comes as Probed and sets it.

        Args:
            db_id: an opened database, by which newer servers can be distinguished; None before OPEN.

        Raises:
            StreamError: the conversation is over.
        """
        self._check_phase()
        frame = probe_generation(db_id)
        return self._sent((Probe(frame), frame, FIRST[frame[4]], None))

    def _checked(self, kind: int, request: Any, allow: Hazard) -> Survey | None:
        """Check a request; return what its SQL does, None where that is not settled before the answer."""
        seen = check_request(kind, request, self.session, self.generation, allow)
        return None if self.session.closing and kind in RUNS_STATEMENT else seen

    def _sent(self, entry: Open) -> bytes:
        request, frame = entry[:2]
        kind = frame[4]
        if self._log is not None:
            self._log(True, kind, len(frame), request)
        if kind == RequestType.INTERRUPT and self._queue:
            last, last_frame, place, seen = self._queue[-1]
            self._queue[-1] = (last, last_frame, place.draining or place, seen)
        elif kind in FOLLOWED:
            self.session.sent(request)
        elif kind == RequestType.CLUSTER:
            self._roleless = self._roleless or is_roleless(frame)
        if self._phase is Phase.NEW:
            frame = self._encoder.encode_handshake() + frame
            self._phase = Phase.OPEN
        if entry[2].turn is Turn.RAFT:
            self._phase = Phase.RAFT
        else:
            self._queue.append(entry)
        self._settle()
        return frame

    def _settle(self) -> None:
        """Compute the flags of the fast path; to be called after whatever may change what they depend on."""
        plain = self._log is None and self._phase is Phase.OPEN
        self._sends_fast = plain and not (self._unlimited or self.session.in_memory)
        self._receives_fast = plain and self.session.leads and not (self._roleless or self._in_row_stream)

    def _check_phase(self) -> None:
        if self._phase is not Phase.NEW and self._phase is not Phase.OPEN:
            raise StreamError(f"the conversation is over: {self._phase.value}")

    def _refuse(self, broken_by: BaseException) -> NoReturn:
        raise StreamError("the conversation is broken") from broken_by


def _no_request(message: object) -> EncodeError:
    return EncodeError(f"got {shown(message, 60)}, a request is needed")
