"""Who may reach the desk, and do what: the middleware and the routes that an application takes. See docs/access.md.

Without a way of signing in the desk serves this machine alone, and whoever connects from it is the local user. With one
(an OpenID Connect provider, or a proxy that names users in a header), the settings list who has which role.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from errors import UserError
from settings import DeskSettings, is_loopback
from web.access_checks import Doors, SafeHeaders, Sites
from web.access_log import RequestLog
from web.access_oidc import OPEN_PATHS, OidcSignIn
from web.access_texts import Refusal
from web.access_users import Identification, LocalUser, ProxyUser, Roles, SessionUser

Page = Callable[[Request, int, str], Response]
"""Makes the page of a refusal, of its status and its text. `request.state.refusal` has its key (web.access_texts)."""

# Seconds that open connections (the pages' streams of events) have at the end.
_SHUTDOWN_S = 3


def plain_page(request: Request, status: int, text: str) -> Response:  # noqa: ARG001 - a Page
    """The refusal as one line of text."""
    return PlainTextResponse(text + "\n", status)


class Access:
    """Who may do what, by the settings.

    middleware, routes: for `Starlette(...)`. uvicorn: keyword arguments for `uvicorn.run`. Raises UserError where the
    settings would let anyone in.
    """

    def __init__(self, settings: DeskSettings, local_user: str, page: Page = plain_page) -> None:
        if not settings.signs_in and not is_loopback(settings.host):
            raise UserError(
                f"the desk is not served at {settings.host}, where others could reach it: set a way of signing in "
                "(FACESTREAM_DESK__OIDC_ISSUER or …__PROXY_HEADER, see docs/access.md), or leave it at 127.0.0.1"
            )
        self._page = page
        self.routes: list[BaseRoute] = []
        identify, sessions = self._identification(settings, local_user)
        self.middleware = [
            Middleware(SafeHeaders),
            Middleware(RequestLog, refuse=self._refuse),
            Middleware(Sites, url=settings.url, refuse=self._refuse),
            *sessions,
            Middleware(
                Doors,
                identify=identify,
                open_paths=OPEN_PATHS if sessions else (),
                is_public=bool(settings.public_collections),
                refuse=self._refuse,
            ),
        ]
        self.uvicorn: dict[str, Any] = {
            "host": settings.host,
            "port": settings.port,
            # A client's address is that of the connection. X-Forwarded-For is what anyone may write.
            "proxy_headers": False,
            # web.access_log has one without names.
            "access_log": False,
            "log_config": None,
            "server_header": False,
            "ws": "none",
            "timeout_graceful_shutdown": _SHUTDOWN_S,
        }

    def _identification(self, settings: DeskSettings, local_user: str) -> tuple[Identification, list[Middleware]]:
        roles = Roles(settings)
        if settings.oidc_issuer:
            sign_in = OidcSignIn(settings, roles, self._refuse)
            self.routes += sign_in.routes
            return SessionUser(roles), [sign_in.session]
        if settings.proxy_header:
            return ProxyUser(settings.proxy_header, settings.proxy_peers, roles), []
        return LocalUser(local_user), []

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        request.state.refusal = refusal.key
        # A page may show who is asking, where that is known by now.
        request.state.user = getattr(request.state, "user", None)
        request.state.sign_out = getattr(request.state, "sign_out", False)
        return self._page(request, refusal.status, refusal.text)
