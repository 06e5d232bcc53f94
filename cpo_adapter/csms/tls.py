"""TLS in the process itself, where no proxy ends it in front (S-45, S-61): 1.2 or later, certificate and key from PEM files."""

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class CertificateUnusable(Exception):
    """One sentence: which files, what is wrong with them."""


class Tls:
    """A context whose certificate may be renewed while chargers are connected: new connections get the new one."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certificate = certificate
        self._key = key
        self._loaded: tuple[int, int] | None = None

    def load(self) -> None:
        """Read both files. Raises CertificateUnusable."""
        try:
            written = self._written()
            # First elsewhere: a chain that came without its key would stay in the context that is in use.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key, password="")
            self.context.load_cert_chain(self._certificate, self._key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise CertificateUnusable(
                f"ADAPTER_OCPP_CERTIFICATE {self._certificate} and ADAPTER_OCPP_KEY {self._key} cannot be used: {reason}. "
                "Give a PEM chain, the server's certificate first, and its key without a passphrase."
            ) from None
        self._loaded = written

    async def renew(self) -> None:
        """Read the files again where they changed; what cannot be used is told each time, and the certificate before stays."""
        try:
            if self._written() == self._loaded:
                return
            self.load()
        except (CertificateUnusable, OSError) as error:
            log.error("certificate_not_renewed", reason=str(error))
            return
        log.info("certificate_renewed", certificate=str(self._certificate))

    def _written(self) -> tuple[int, int]:
        return self._certificate.stat().st_mtime_ns, self._key.stat().st_mtime_ns
