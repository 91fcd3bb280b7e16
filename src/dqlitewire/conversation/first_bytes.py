"""The first bytes of a connection that tell which protocol is spoken on it: HTTP or TLS instead of dqlite.

Read by the observer, by the sources of traffic, and by whoever has dialled a stranger. dqlite itself begins
with a handshake word, which `constants` has.
"""

from __future__ import annotations

__all__ = ["HTTP_ANSWER", "HTTP_END", "HTTP_METHODS", "MAX_HTTP_HEAD", "TLS_ALERT", "TLS_HANDSHAKE"]

HTTP_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"CONNECT ", b"OPTIONS ", b"HEAD ", b"DELETE ")
HTTP_ANSWER = b"HTTP/"
HTTP_END = b"\r\n\r\n"  # of a head
MAX_HTTP_HEAD = 1 << 16  # bytes
TLS_ALERT = b"\x15\x03"  # type of the record, major version
TLS_HANDSHAKE = b"\x16\x03"
