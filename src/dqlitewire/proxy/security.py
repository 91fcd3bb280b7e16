"""TLS towards clients: the certificate that is shown to them, and whose certificates they must show."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from dqlitewire.dial.options import check_readable, judge_as_go, load_pair

__all__ = ["ClientTls"]


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How clients are met.

    Attributes:
        cert: File of the certificate that they are shown (PEM).
        key: File of its key; None if it stands in `cert`.
        ca: File of the certificates that theirs are checked against; None if they need none.
    """

    cert: str
    key: str | None = None
    ca: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return what connections are accepted with.

        Raises:
            OSError: A file cannot be read, or is no certificate or key (`ssl.SSLError`); it names the file.
            ValueError: The key is encrypted.
        """
        check_readable(self.cert, self.key, self.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_pair(context, self.cert, self.key)
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError:
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{self.ca}: no certificate in it") from None
            context.verify_mode = ssl.CERT_REQUIRED
            judge_as_go(context)
        return context
