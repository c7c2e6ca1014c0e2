"""Scans on web servers: plain http and https, IIIF image requests among them.

Python's own client, so that each step is ours: which address is connected to, which redirects are followed, how many
bytes are taken, and until when. No proxy is used, no cookie kept, and nothing is decompressed.
"""

from __future__ import annotations

import base64
import http.client
import netrc
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from models.stores.addresses import connect
from models.stores.deadline import Deadline, DeadlinePassed
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.files import too_large
from schemas.uris import without_credentials

_CHUNK = 2**16
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
# Of an answer that is no scan: enough for S3's error code.
_ERROR_BYTES = 4096
_SAFE = "/%:@!$&'()*+,;=~[]"
_PORTS = {"http": 80, "https": 443}
_GONE = {404, 410}
_HEADERS = {"Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "facestream"}


@dataclass(frozen=True)
class Answer:
    """A server's answer. body: the scan where the status is 200, else the beginning of the text.

    code: S3's name for an error.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str = ""

    @property
    def line(self) -> str:
        """The status as a person reads it; not in the words of the server, which may be any."""
        return f"{self.status} {self.code or http.client.responses.get(self.status, '')}".strip()


@dataclass(frozen=True)
class Rules:
    """What a request may do, see `models.stores.parameters`. private_hosts None: any address."""

    private_hosts: Sequence[str] | None
    max_bytes: int
    netrc: Path | None = None


def origin(uri: str) -> str:
    """Scheme, host and port of an http uri: its store."""
    parts = urlsplit(uri)
    port = f":{parts.port}" if parts.port and parts.port != _PORTS[parts.scheme] else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def read(uri: str, rules: Rules, deadline: Deadline) -> bytes:
    """The body at an http(s) uri. Raises UnavailableImage, StoreUnavailable and DeadlinePassed."""
    first, place = origin(uri), uri
    for _ in range(_MOST_REDIRECTS + 1):
        answer = get(place, rules, deadline, login=origin(place) == first)
        if answer.status in _REDIRECTS and "location" in answer.headers:
            place = _redirected(place, answer.headers["location"])
            continue
        if answer.status == 200:
            return answer.body
        raise failure(uri, first, answer)
    raise UnavailableImage(f"{without_credentials(uri)} is redirected more than {_MOST_REDIRECTS} times")


def failure(uri: str, store: str, answer: Answer) -> Exception:
    """The error for an answer that is no scan."""
    shown = without_credentials(uri)
    if answer.status in _GONE:
        return UnavailableImage(f"nothing is at {shown} ({answer.line})")
    if answer.status in (401, 403, 407, 408, 425, 429) or answer.status >= 500:
        return StoreUnavailable(store, answer.line, "unclear")
    return UnavailableImage(f"{shown} is no scan: the server answers {answer.line}")


def get(uri: str, rules: Rules, deadline: Deadline, *, login: bool = True) -> Answer:
    """The answer to one request. Raises UnavailableImage, StoreUnavailable and DeadlinePassed."""
    parts = _checked(uri)
    store, shown = origin(uri), without_credentials(uri)
    try:
        connection = _Connection(parts, rules, deadline)
    except http.client.InvalidURL as error:
        raise UnavailableImage(f"{shown} is not a valid uri") from error
    try:
        try:
            connection.request("GET", _target(parts), headers=_HEADERS | (_login(parts, rules.netrc) if login else {}))
            response = connection.getresponse()
        except StoreUnavailable as error:
            raise StoreUnavailable(store, error.reason, error.cause) from error
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "the connection cannot be encrypted"
            raise StoreUnavailable(store, f"TLS fails: {reason}", "store") from error
        except TimeoutError as error:
            raise DeadlinePassed from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            _ = deadline.remaining  # at the deadline the connection is cut
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise StoreUnavailable(store, f"no answer ({reason})", "unclear") from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        body = _body(shown, store, response, headers, rules.max_bytes, deadline)
        return Answer(response.status, headers, body)
    finally:
        connection.close()


def _body(
    shown: str,
    store: str,
    response: http.client.HTTPResponse,
    headers: Mapping[str, str],
    max_bytes: int,
    deadline: Deadline,
) -> bytes:
    if response.status != 200:
        try:
            return response.read1(_ERROR_BYTES)
        except (OSError, http.client.HTTPException):
            return b""
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else None
    if size is not None and size > max_bytes:
        raise too_large(shown, max_bytes, size)
    if headers.get("content-encoding", "identity") != "identity":
        encoding = headers["content-encoding"]
        raise UnavailableImage(f"{shown} comes with the content encoding {encoding}, which is not read")
    deadline.answer()
    body = BytesIO()
    try:
        # read1 returns what has come: a server that trickles is not waited for beyond the deadline.
        while chunk := response.read1(_CHUNK):
            _ = deadline.remaining
            deadline.received = body.tell() + len(chunk)
            if deadline.received > max_bytes:
                raise too_large(shown, max_bytes)
            body.write(chunk)
    except TimeoutError as error:
        raise DeadlinePassed from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        _ = deadline.remaining
        raise StoreUnavailable(store, f"the transfer broke off after {body.tell():,} bytes", "scan") from error
    _ = deadline.remaining
    if size is not None and body.tell() != size:
        raise StoreUnavailable(store, f"the transfer broke off after {body.tell():,} of {size:,} bytes", "scan")
    return body.getvalue()


def _checked(uri: str) -> SplitResult:
    parts = urlsplit(uri)
    try:
        _ = parts.port
    except ValueError as error:
        raise UnavailableImage(f"{without_credentials(uri)} has no valid port") from error
    if not parts.hostname:
        raise UnavailableImage(f"{without_credentials(uri)} names no host")
    return parts


def _target(parts: SplitResult) -> str:
    """Path and query of a request. Escapes stay as they are: an IIIF identifier holds %2F."""
    path = quote(parts.path or "/", safe=_SAFE)
    return f"{path}?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else path


def _redirected(uri: str, location: str) -> str:
    """The uri that a redirect leads to. Raises UnavailableImage where it is not followed."""
    try:
        target = urljoin(uri, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        scheme = ""
    if scheme not in _PORTS or (scheme == "http" and uri.startswith("https:")):
        raise UnavailableImage(f"{without_credentials(uri)} is redirected to a {scheme or 'faulty'} uri: not followed")
    _checked(target)
    return target


def _login(parts: SplitResult, file: Path | None) -> dict[str, str]:
    user, password = parts.username, parts.password
    if user is None and file is not None:
        try:
            entry = netrc.netrc(file).authenticators(parts.hostname or "")
        except (OSError, netrc.NetrcParseError) as error:
            # Their texts may quote a line with a password.
            raise StoreUnavailable(origin(parts.geturl()), f"the logins in {file} cannot be read", "store") from error
        if entry:
            user, password = entry[0], entry[2]
    else:
        user, password = user and unquote(user), password and unquote(password)
    if not user:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()}


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked. With https the certificate is that of the host's name."""

    def __init__(self, parts: SplitResult, rules: Rules, deadline: Deadline) -> None:
        super().__init__(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self._parts = parts
        self._rules = rules
        self._deadline = deadline
        # Without it, http.client adds the port of http to the host of an https request.
        self.default_port = _PORTS[parts.scheme]

    def connect(self) -> None:
        """Called by the first request."""
        connection = connect(self.host, self.port, self._rules.private_hosts, self._deadline)
        self._deadline.at_expiry(lambda: connection.shutdown(socket.SHUT_RDWR))
        self.sock = connection
        if self._parts.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(connection, server_hostname=self.host)
