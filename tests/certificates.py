"""Certificates of servers for tests, made by the openssl of the machine."""

import ssl
import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=mail.example")
_PAST = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = {name}
"""


def make_certificate(folder: Path, name: str = "IP:127.0.0.1", *, is_expired: bool = False) -> Path:
    """``cert.pem`` and ``key.pem`` in the folder, signed by itself. ``name``: as ``DNS:mail.example``."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    if not is_expired:
        _openssl("req", "-x509", *_KEY, "-days", "2", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", cert)
        return cert
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01")
    (folder / "ca.conf").write_text(_PAST.format(folder=folder, name=name))
    _openssl("req", "-new", *_KEY, "-keyout", key, "-out", folder / "asked.pem")
    dates = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
    made = ("-in", folder / "asked.pem", "-keyfile", key, "-out", cert)
    _openssl("ca", "-batch", "-notext", "-selfsign", "-config", folder / "ca.conf", *dates, *made)
    return cert


def tls_of(folder: Path) -> ssl.SSLContext:
    """TLS of a server with the certificate of the folder."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return tls


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
