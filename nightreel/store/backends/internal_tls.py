"""A certificate for what the object store's services say to each other, so that no other user of the machine joins in.

SeaweedFS's internal ports (gRPC) would take every request: any account could replace the pointer to what is live. With
a certificate each side has to show one that this authority signed; its key is in a folder that only the owner may read.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from nightreel import private_files

SERVICES = ("MASTER", "VOLUME", "FILER", "S3", "CLIENT")
FROM, UNTIL = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""It is new at every start and valid whatever this machine's clock says."""


def prepare(folder: Path) -> dict[str, str]:
    """Write a new key and certificate.

    Args:
        folder: Where; it is created, for the owner alone.

    Returns:
        The environment variables by which SeaweedFS demands them of both sides.
    """
    # Imported here: only the server's start needs it.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nightreel object store")])
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), FROM, UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(here), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_files.create_folder(folder)
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    private_files.create(certificate, signed.public_bytes(serialization.Encoding.PEM), replace=True)
    form = serialization.PrivateFormat.PKCS8
    content = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    private_files.create(secret, content, replace=True)
    return {"WEED_GRPC_CA": str(certificate)} | {
        f"WEED_GRPC_{service}_{part}": str(path)
        for service in SERVICES
        for part, path in (("CERT", certificate), ("KEY", secret))
    }
