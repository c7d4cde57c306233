"""Sending over TLS: the connection goes to the judged address, and the certificate is held to the name."""

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from holdfast.webhooks.sending import Answer, Sender
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

HOST = "hooks.example.org"


def certificate(folder: Path) -> Path:
    """A certificate for `HOST` that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "certificate.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """The port of a receiver behind TLS, and whom to trust for it."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200 if self.headers["host"].partition(":")[0] == HOST else 421)
            self.send_header("content-length", "100000000")  # an answer without an end: nobody reads it
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    path = certificate(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(path)
    server.socket = ours.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_address[1], ssl.create_default_context(cafile=str(path))
    server.shutdown()
    server.server_close()


def sent(host: str, port: int, tls: ssl.SSLContext | None) -> Answer:
    async def here(_host: str, _port: int) -> list[str]:
        return [str(ipaddress.IPv4Address("127.0.0.1"))]

    sender = Sender([host], resolve=here, tls=tls, seconds=PATIENCE_SECONDS)
    return asyncio.run(sender.send(f"https://{host}:{port}/hooks", {}, b"{}"))


def test_the_certificate_is_held_to_the_name_and_not_to_the_address(served: tuple[int, ssl.SSLContext]) -> None:
    port, trusted = served
    assert sent(HOST, port, trusted).taken
    for host, tls in (("other.example.org", trusted), (HOST, None)):
        answer = sent(host, port, tls)
        assert (answer.taken, answer.sentence) == (False, "it could not be told: ConnectError")


def test_a_receiver_that_is_not_there_is_a_sentence() -> None:
    async def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    sender = Sender(resolve=nowhere)
    answer = asyncio.run(sender.send("https://hooks.example.org/", {}, b"{}"))
    assert (answer.status, answer.sentence) == (None, "its name has no address: OSError")
