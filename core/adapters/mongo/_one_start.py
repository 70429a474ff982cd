"""A certificate that serves for one start of a server, so that nobody else can connect meanwhile.

The embedded server's first start knows no user yet. It asks for this certificate instead, which
exists in a directory that only we may enter, and no longer than that start.
"""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core.adapters.mongo._process import private_directory, write_private

__all__ = ["OneStart", "certificate_for_one_start"]

# Always valid, whatever this machine's clock says: it is gone within seconds.
_SINCE, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OneStart:
    """How the server is told of it, and how a client shows it.

    Attributes:
        flags: Of the server.
        options: Of a client's URI.
    """

    flags: Sequence[str]
    options: Mapping[str, str]


@contextmanager
def certificate_for_one_start(directory: Path) -> Iterator[OneStart]:
    """Make one below a private directory; remove it at the end."""
    place = private_directory(directory / "first-start")
    try:
        certificate, key = _made()
        for name, text in (("cert", certificate), ("key", key), ("both", key + certificate)):
            write_private(place / f"{name}.pem", text)
        cert = str(place / "cert.pem")
        yield OneStart(
            (
                f"--tls-cert-file={cert}",
                f"--tls-key-file={place / 'key.pem'}",
                f"--tls-ca-file={cert}",
                "--tls-require-client-cert",
            ),
            {"tls": "true", "tlsCAFile": cert, "tlsCertificateKeyFile": str(place / "both.pem")},
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _made() -> tuple[str, str]:
    """Return a certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "saarthi")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()
