"""http: every way in which a server fails is distinguished, addresses are checked, and no secret is repeated."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from models.stores.addresses import is_public
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Stores
from tests.builders.web import LOOPBACK, Web, web_server

IIIF = "/iiif/2/box%2F7%2Fscan%201.tif/full/max/0/default.jpg"


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as running:
        running.pages["/a.jpg"] = b"scan"
        yield running


def stores(deadline_s: float = 5, max_bytes: int = 10_000, netrc: Path | None = None) -> Stores:
    return Stores(
        StoreParameters(private_hosts=LOOPBACK, deadline_s=deadline_s, max_bytes=max_bytes, netrc=netrc),
    )


def failure(uri: str, deadline_s: float = 5) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        stores(deadline_s).fetch(uri)
    return caught.value


def test_a_scan_on_a_web_server_is_read_an_iiif_image_request_among_them(web: Web) -> None:
    web.pages[IIIF] = b"iiif"
    assert stores().fetch(web.uri("/a.jpg?size=full page")) == b"scan"
    assert stores().fetch(web.uri(IIIF)) == b"iiif"
    assert [path for path, _ in web.requests] == ["/a.jpg?size=full%20page", IIIF]
    assert web.requests[0][1]["Host"] == f"127.0.0.1:{web.port}"
    assert web.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_name_with_other_letters_is_asked_for_in_utf8(web: Web) -> None:
    web.pages["/%C3%B5htu.jpg"] = b"evening"
    assert stores().fetch(web.uri("/õhtu.jpg")) == b"evening"


@pytest.mark.parametrize("status", [404, 410])
def test_a_scan_that_is_not_there_is_unavailable(web: Web, status: int) -> None:
    web.statuses["/a.jpg"] = status
    with pytest.raises(UnavailableImage, match=f"nothing is at {web.uri('/a.jpg')} \\({status} "):
        stores().fetch(web.uri("/a.jpg"))


@pytest.mark.parametrize("status", [204, 301, 400, 406])
def test_an_answer_that_is_no_scan_is_unavailable(web: Web, status: int) -> None:
    web.statuses["/a.jpg"] = status
    with pytest.raises(UnavailableImage, match=f"is no scan: the server answers {status} "):
        stores().fetch(web.uri("/a.jpg"))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_a_server_that_fails_or_refuses_may_answer_later(web: Web, status: int) -> None:
    web.statuses["/a.jpg"] = status
    error = failure(web.uri("/a.jpg"))
    assert error.reason.startswith(f"{status} ")
    assert "secret of the server" not in str(error)
    assert (error.store, error.cause) == (f"http://127.0.0.1:{web.port}", "unclear")


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/a.jpg")
    assert (error.reason, error.cause) == ("connection refused", "store")


def test_a_host_that_is_unknown_is_an_outage() -> None:
    error = failure("http://no-such-host.invalid/a.jpg")
    assert "the host no-such-host.invalid is unknown" in error.reason
    assert error.cause == "store"


def test_a_server_that_never_answers_is_left_at_the_deadline(web: Web) -> None:
    started = time.monotonic()
    error = failure(web.uri("/hang"), 0.3)
    assert time.monotonic() - started < 2
    assert (error.reason, error.cause) == ("no answer within 0.3 s (FACESTREAM_STORES__DEADLINE_S)", "unclear")


@pytest.mark.parametrize("path", ["/silent", "/trickle"])
def test_a_server_that_stops_midway_or_trickles_is_left_at_the_deadline(web: Web, path: str) -> None:
    started = time.monotonic()
    error = failure(web.uri(path), 0.4)
    assert time.monotonic() - started < 2
    assert "it did not arrive within 0.4 s" in error.reason
    assert error.cause == "scan"
    ended = time.monotonic() + 2
    while [thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")]:
        assert time.monotonic() < ended, "the thread goes on for nobody"
        time.sleep(0.01)


def test_headers_that_trickle_are_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                try:
                    while True:
                        connection.sendall(b"X")
                        time.sleep(0.05)
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        started = time.monotonic()
        assert "no answer within 0.3 s" in failure(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.3).reason
        assert time.monotonic() - started < 2


def test_a_server_that_speaks_no_http_or_hangs_up_gives_no_answer() -> None:
    for line in (b"", b"220 ftp ready\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer(listening: socket.socket = server, sent: bytes = line) -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(sent)

            threading.Thread(target=answer, daemon=True).start()
            error = failure(f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg")
            assert "no answer (" in error.reason
            assert error.cause == "unclear"


def test_a_transfer_that_breaks_off_is_no_scan(web: Web) -> None:
    error = failure(web.uri("/short"))
    assert (error.reason, error.cause) == ("the transfer broke off after 10 of 1,000 bytes", "scan")


def test_a_large_scan_is_refused_before_and_while_it_is_read(web: Web) -> None:
    web.pages["/large.jpg"] = b"x" * 10_001
    with pytest.raises(UnavailableImage, match="has 10,001 bytes, at most 10,000 are read"):
        stores().fetch(web.uri("/large.jpg"))
    with pytest.raises(UnavailableImage, match="is larger than is read, at most 10,000 are read"):
        stores().fetch(web.uri("/endless"))


def test_compressed_answers_are_not_unpacked(web: Web) -> None:
    web.headers["Content-Encoding"] = "gzip"
    with pytest.raises(UnavailableImage, match="content encoding gzip, which is not read"):
        stores().fetch(web.uri("/a.jpg"))


def test_redirects_are_followed_but_not_for_ever(web: Web) -> None:
    web.redirects |= {"/1": "/2", "/2": web.uri("/a.jpg"), "/loop": "/loop"}
    assert stores().fetch(web.uri("/1")) == b"scan"
    with pytest.raises(UnavailableImage, match="is redirected more than 5 times"):
        stores().fetch(web.uri("/loop"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.jpg", "http://", "http://[::1", "//x:y/"])
def test_a_redirect_out_of_the_web_is_not_followed(web: Web, target: str) -> None:
    web.redirects["/1"] = target
    with pytest.raises(UnavailableImage):
        stores().fetch(web.uri("/1"))


def test_a_redirect_to_a_private_address_is_checked_again(web: Web) -> None:
    web.redirects["/1"] = web.uri("/a.jpg")
    with pytest.raises(UnavailableImage, match=r"the host 127\.0\.0\.1 has the private address .*PRIVATE_HOSTS"):
        Stores(StoreParameters(private_hosts=("localhost",))).fetch(web.uri("/1", "localhost"))


def test_a_private_address_is_refused_unless_its_host_or_network_is_allowed(web: Web) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "0.0.0.0"):
        with pytest.raises(UnavailableImage, match=r"has the private address .*FACESTREAM_STORES__PRIVATE_HOSTS"):
            Stores(StoreParameters()).fetch(web.uri("/a.jpg", host))
    assert web.requests == []
    for allowed in ("127.0.0.1", "127.0.0.0/8", "*"):
        assert Stores(StoreParameters(private_hosts=(allowed,))).fetch(web.uri("/a.jpg")) == b"scan"


def test_the_address_that_was_checked_is_the_one_that_is_reached(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time (DNS rebinding)."""
    answers = iter(["93.184.215.14", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(StoreUnavailable):
        Stores(StoreParameters(deadline_s=0.5)).fetch(web.uri("/a.jpg", "rebinding.example"))
    assert asked == ["rebinding.example"]
    assert web.requests == []
    with pytest.raises(UnavailableImage, match="private address 127"):
        Stores(StoreParameters(deadline_s=0.5)).fetch(web.uri("/a.jpg", "rebinding.example"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_login_is_sent_and_never_shown(web: Web) -> None:
    uri = f"http://ann:pa%3Ass@127.0.0.1:{web.port}/a.jpg"
    assert stores().fetch(uri) == b"scan"
    assert web.requests[-1][1]["Authorization"] == "Basic " + base64.b64encode(b"ann:pa:ss").decode()
    web.statuses["/a.jpg"] = 403
    error = failure(uri)
    web.statuses["/a.jpg"] = 404
    with pytest.raises(UnavailableImage) as caught:
        stores().fetch(f"{uri}?X-Amz-Signature=abc&page=2")
    for text in (str(error), repr(error), error.store, str(caught.value)):
        assert "ann" not in text
        assert "pa" not in text.replace("page", "")
        assert "abc" not in text
    assert "page=2" in str(caught.value)


def test_a_login_of_the_netrc_file_goes_to_its_host_only_and_not_with_a_redirect(web: Web, tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login ann password secret\n")
    web.redirects["/1"] = web.uri("/a.jpg", "localhost")
    assert stores(netrc=file).fetch(web.uri("/1")) == b"scan"
    assert ["Authorization" in headers for _, headers in web.requests] == [True, False]
    file.write_text("machine 127.0.0.1 passwort secret\n")
    with pytest.raises(StoreUnavailable, match=r"the logins in .* cannot be read") as caught:
        stores(netrc=file).fetch(web.uri("/a.jpg"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["http://", "http:///a.jpg", "http://h:x/a.jpg", "http://h/\n", "http://[::1/a.jpg", "http://a b/"]
)
def test_a_uri_that_is_not_valid_is_unavailable(uri: str) -> None:
    with pytest.raises(UnavailableImage):
        stores().fetch(uri)


def test_an_error_survives_the_way_from_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(StoreUnavailable("http://a", "503", "unclear", tried=False)))
    assert (error.store, error.reason, error.cause, error.tried) == ("http://a", "503", "unclear", False)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of localhost with its key, which nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_https_wants_a_certificate_of_the_host_of_the_uri(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with web_server(tls=context) as web:
        web.pages["/a.jpg"] = b"scan"
        uri = web.uri("/a.jpg", "localhost").replace("http:", "https:")
        error = failure(uri)
        assert "TLS fails: self-signed certificate" in error.reason
        assert error.cause == "store"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert stores().fetch(uri) == b"scan"
        assert "TLS fails: IP address mismatch" in failure(uri.replace("localhost", "127.0.0.1")).reason
        web.redirects["/down"] = web.uri("/a.jpg", "localhost")
        with pytest.raises(UnavailableImage, match="is redirected to a http uri: not followed"):
            stores().fetch(uri.replace("/a.jpg", "/down"))


def test_a_server_is_not_quoted() -> None:
    """Its words for a status may be any: a login, a screen's control characters, megabytes."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(9999)
                connection.sendall(b"HTTP/1.1 500 \x1b[31mhttps://ann:pw@host/ refused\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(StoreUnavailable) as caught:
            stores().fetch(f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg")
    assert caught.value.reason == "500 Internal Server Error"


def test_no_login_is_in_the_reason_for_a_uri_that_is_not_read() -> None:
    for uri in (
        "s3://ann:pw@bucket/key",
        "file://ann:pw@host/a.jpg",
        "file:///a.jpg?token=pw",
        "simplecache::http://ann:pw@host/a.jpg",
        "zip://a.jpg::http://ann:pw@host/a.zip",
        "ftp://ann:pw@host/a.jpg",
    ):
        with pytest.raises(UnavailableImage) as caught:
            stores().fetch(uri)
        assert "pw" not in str(caught.value)
