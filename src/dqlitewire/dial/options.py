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
        check_readable(self.ca, self.cert, self.key)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{self.ca}: no certificate in it") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # Go's, too; distributions allow older ones
        judge_as_go(context)
        context.check_hostname = not self.any_name
        if self.cert is not None:
            load_pair(context, self.cert, self.key)
        return context


def check_readable(*paths: str | None) -> None:
    """Check that the files of TLS can be read: the errors of ssl name none.

    Args:
        paths: of the files; None for what was not given.

    Raises:
        OSError: one cannot be read; it names the file.
    """
    for path in paths:
        if path is not None:
            with open(path, "rb", opener=_at_once):  # refuses a folder, which `os.open` does not
                pass


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer, too


def judge_as_go(context: ssl.SSLContext) -> None:
    """Trust every certificate of the given ones as it stands, and apply no rules that Go does not have.

    Args:
        context: what connections are made or accepted with.
    """
    import ssl

    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


def load_pair(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Load the certificate to show and its key.

    Args:
        context: takes them.
        cert: file of the certificate.
        key: file of its key; None if it stands in `cert`.

    Raises:
        ssl.SSLError: they are none, or do not belong together; it names the files.
        ValueError: the key is encrypted.
    """
    import ssl

    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"{key or cert}: not the key of {cert}"
        else:
            problem = f"{cert}{'' if key is None else f', {key}'}: not a certificate and its key"
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, problem) from None


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
