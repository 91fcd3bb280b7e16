"""TLS towards clients: the certificate that is shown to them, and whose certificates they must show."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import NoReturn

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
        for path in (self.cert, self.key, self.ca):
            if path is not None:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # the errors of ssl name no file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except ssl.SSLError:
            files = self.cert if self.key is None else f"{self.cert}, {self.key}"
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{files}: not a certificate and its key") from None
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError:
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{self.ca}: no certificate in it") from None
            context.verify_mode = ssl.CERT_REQUIRED
            # as Go judges: a certificate that is trusted may be a leaf, such as the one that a cluster shares
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def _no_password() -> NoReturn:
    """Instead of asking on the terminal, which is what OpenSSL does."""
    raise ValueError("the key is encrypted")
