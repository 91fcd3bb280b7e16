"""What is put between a socket and dqlite: TLS and the HTTP upgrade, as options of whoever dials.

Certificates are judged as Go judges them, since dqlite's products are written in Go and make their own:
every certificate of `ca` is trusted as it stands, self-signed ones and leaves included, and Python 3.13's
strict rules, which such certificates break, are left out. Files are read anew for each connection, so a
certificate that is renewed meanwhile is taken.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class DialOptions:
    """What is put between the socket and dqlite. Any option of TLS asks for TLS.

    Attributes:
        cert: file of the client's certificate (PEM).
        key: file of its key; None if it stands in `cert`.
        ca: file of the certificates that the server's is checked against; None for the system's.
        server_name: whom the server's certificate must name; None for the host of the address.
        upgrade: path of the HTTP endpoint that switches to dqlite; None for no HTTP.
        any_name: take a certificate whomever it names: for clusters whose nodes share the one in `ca`.
    """

    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    server_name: str | None = None
    upgrade: str | None = None
    any_name: bool = False

    @property
    def tls(self) -> bool:
        """Whether to speak TLS."""
        return any(given is not None for given in (self.cert, self.key, self.ca, self.server_name))

    def tls_context(self) -> ssl.SSLContext:
        """Return what the standard library makes connections with.

        Raises:
            OSError: a file cannot be read, or is no certificate or key (`ssl.SSLError`); it names the file.
            ValueError: there is a key and no certificate.
        """
        import ssl  # takes 10 ms, and few need it

        if self.cert is None and self.key is not None:
            raise ValueError("a key without its certificate")
        if self.any_name and self.ca is None:
            raise ValueError("a certificate of any name needs the file that it is checked against")
        for path in (self.ca, self.cert, self.key):
            if path is not None:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # the errors of ssl name no file
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{self.ca}: no certificate in it") from None
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = not self.any_name
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key, password=_no_password)
            except ssl.SSLError as error:
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, self._bad_pair(error)) from None
        return context

    def _bad_pair(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{self.key or self.cert}: not the key of {self.cert}"
        if self.key is None:
            return f"{self.cert}: not a certificate and its key"
        return f"{self.cert}, {self.key}: not a certificate and its key"


def _no_password() -> NoReturn:
    """Instead of asking on the terminal, which is what OpenSSL does."""
    raise ValueError("the key is encrypted")


PLAIN = DialOptions()  # neither TLS nor HTTP


def tls_words(error: ssl.SSLError, options: DialOptions) -> str:
    """Say what went wrong in TLS; empty if it looks as if the other end spoke no TLS at all.

    Args:
        error: of the handshake, or of the first bytes behind it.
        options: of the connection.
    """
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    _, alert, said = (error.reason or "").partition("ALERT_")
    if not alert:
        return ""
    said = said.replace("_", " ").lower()
    if options.cert is None and "certificate" in said:
        return f"the server wants a client certificate ({said})"
    return f"the server refuses {'the certificate' if options.cert else 'TLS'} ({said})"
