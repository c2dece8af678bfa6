"""Certificates of encrypted streams (https, rtsps, rtmps): checked against the authorities that this system trusts."""

from __future__ import annotations

import atexit
import os
import ssl
import tempfile
from functools import cache
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Fedora, openSUSE, and macOS and Alpine keep them, each in one file."""


def tls_options(insecure: bool = False) -> dict[str, str]:
    """FFmpeg's options for encrypted connections.

    Args:
        insecure: take any certificate, as for cameras that have made their own.
    """
    if insecure:
        return {"tls_verify": "0"}
    return {"tls_verify": "1", "ca_file": ca_bundle()}


def ca_bundle() -> str:
    """Path of a PEM file of the trusted authorities: ``SSL_CERT_FILE`` where that is set, else the system's."""
    paths = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *BUNDLES)
    found = next((path for path in paths if path and Path(path).is_file()), None)
    return found or _exported()


@cache
def _exported() -> str:
    """What Python trusts, such as Windows' own store, written to a file that is gone with this process."""
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    text = "".join(map(ssl.DER_cert_to_PEM_cert, certificates))
    with tempfile.NamedTemporaryFile("w", prefix="livestyle-ca-", suffix=".pem", delete=False) as file:
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
