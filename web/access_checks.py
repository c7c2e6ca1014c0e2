"""What every request has to get past, as ASGI middleware: headers for the browser, the host, the origin, the role."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from settings import is_loopback
from web.access_texts import NO_ROLE, NOT_PUBLIC, SIGN_IN, WRONG_HOST, WRONG_ORIGIN, Refusal
from web.access_users import Identification, Role

_SAFE_METHODS = ("GET", "HEAD")
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send "Origin: null" with the desk's own forms (Fetch, section 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = "/static/"
PUBLIC = "/public"
OPERATE = "/operate/"
SIGN_OUT = "/sign-out"

Refuse = Callable[[Request, Refusal], Response]


class SafeHeaders:
    """Limits what a page may do in a browser: no script but the desk's own, in no other site's frame, kept nowhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Sites:
    """Refuses what other sites have browsers send: by the Host, by Sec-Fetch-Site and by Origin.

    A site whose name leads to this machine's address (DNS rebinding) is another host. A write needs a browser's word
    that it comes from the desk itself. Other sites may link to a page, but embed nothing.
    """

    def __init__(self, app: ASGIApp, url: str | None, refuse: Refuse) -> None:
        self._app = app
        self._url = origin_of(url) if url else None
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope)
            refusal = self._refusal(request)
            await (self._refuse(request, refusal) if refusal else self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Refusal | None:
        own = self._own_origin(request)
        if own is None:
            return WRONG_HOST
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if request.method in _SAFE_METHODS:
            is_link = request.headers.get("sec-fetch-mode") == "navigate" and (
                request.headers.get("sec-fetch-dest") == "document"
            )
            return WRONG_ORIGIN if site in ("cross-site", "same-site") and not is_link else None
        if site not in (None, "same-origin") or (origin is not None and origin_of(origin) != own):
            return WRONG_ORIGIN
        return WRONG_ORIGIN if site is None and origin is None else None

    def _own_origin(self, request: Request) -> str | None:
        """The desk's origin, as the Host has it; None where that is not the desk's."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1:
            return None
        scheme = self._url.partition(":")[0] if self._url else "http"
        own = origin_of(f"{scheme}://{hosts[0]}")
        if own is None:
            return None
        if self._url:
            return own if own == self._url else None
        # On this machine alone: whatever port a tunnel (ssh -L) ends at.
        return own if is_loopback(urlsplit(own).hostname or "") else None


class Doors:
    """Lets users in by their roles, and anyone to what is public. Sets `request.state.user`."""

    def __init__(
        self, app: ASGIApp, identify: Identification, open_paths: Sequence[str], is_public: bool, refuse: Refuse
    ) -> None:
        self._app = app
        self._identify = identify
        self._open_paths = open_paths
        self._is_public = is_public
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        await (self._answer(request, refusal) if refusal else self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Refusal | None:
        request.state.user = None
        request.state.sign_out = False
        path, is_reading = request.url.path, request.method in _SAFE_METHODS
        if path == PUBLIC or path.startswith(PUBLIC + "/"):
            return None if self._is_public and is_reading else NOT_PUBLIC
        if is_reading and (path.startswith(STATIC) or path in self._open_paths):
            return None
        user = self._identify(request)
        if isinstance(user, Refusal):
            return user
        request.state.user = user
        request.state.sign_out = bool(self._open_paths)
        # Whoever has signed in may sign out, also without any role.
        return None if path == SIGN_OUT or user.may(_role(path, is_reading)) else NO_ROLE

    def _answer(self, request: Request, refusal: Refusal) -> Response:
        """The refusal, or for a page that needs signing in, the way there."""
        is_page = request.method == "GET" and request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        if refusal is SIGN_IN and self._open_paths and is_page and "hx-request" not in request.headers:
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"{self._open_paths[0]}?next={quote(wanted, safe='')}", 303)
        return self._refuse(request, refusal)


def _role(path: str, is_reading: bool) -> Role:
    if path.startswith(OPERATE):
        return "operate"
    return "read" if is_reading else "decide"


def origin_of(url: str) -> str | None:
    """The scheme, host and port of an address, in one form for all ways of writing it (RFC 6454); None for none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}"
