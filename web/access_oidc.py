"""Signing in at an OpenID Connect provider, by the authorization code flow with PKCE (authlib).

The cookie that results is signed, and readable by its owner alone: it holds the user's name, and those of their groups
that the settings name.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from settings import DeskSettings
from web.access_checks import SIGN_OUT
from web.access_texts import NO_NAME, PROVIDER_AWAY, SIGN_IN_FAILED, SIGNED_OUT, Refusal
from web.access_users import Roles, usable_name

SIGN_IN = "/sign-in"
_CALLBACK = "/sign-in/callback"
_SIGNED_OUT = "/signed-out"
OPEN_PATHS = (SIGN_IN, _CALLBACK, _SIGNED_OUT)
"""What can be reached by whoever has not signed in."""

# Seconds: a day's work. Afterwards one signs in again.
_SESSION_S = 12 * 3600
_TIMEOUT_S = 10.0

# What authlib raises where a request or an answer of the provider is refused, or makes no sense.
_SENSELESS = (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)

Refuse = Callable[[Request, Refusal], Response]

log = structlog.get_logger()


class OidcSignIn:
    """The routes and the session cookie of signing in."""

    def __init__(self, settings: DeskSettings, roles: Roles, refuse: Refuse) -> None:
        assert settings.oidc_issuer and settings.oidc_client_secret and settings.session_secret and settings.url
        self._settings = settings
        self._roles = roles
        self._refuse = refuse
        self._issuer = settings.oidc_issuer
        self._url = settings.url.rstrip("/")
        self._client = OAuth().register(
            "desk",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            server_metadata_url=self._issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_S,
            },
        )
        secure = self._url.startswith("https://")
        self.session = Middleware(
            SessionMiddleware,
            secret_key=settings.session_secret.get_secret_value(),
            # A browser takes a cookie of this name only from this very host, over https (RFC 6265bis, section 4.1.3.2).
            session_cookie="__Host-facestream" if secure else "facestream",
            max_age=_SESSION_S,
            # Not strict: the provider leads back by a link, and that request needs the cookie.
            same_site="lax",
            https_only=secure,
        )
        self.routes = [
            Route(SIGN_IN, self._begin),
            Route(_CALLBACK, self._end),
            Route(SIGN_OUT, self._sign_out, methods=["POST"]),
            Route(_SIGNED_OUT, lambda request: refuse(request, SIGNED_OUT)),
        ]

    async def _begin(self, request: Request) -> Response:
        async def redirect() -> Response:
            await self._check_provider()
            # What an earlier attempt left is of no use, and a cookie has little space.
            request.session.clear()
            request.session["next"] = local_path(request.query_params.get("next"))
            answer: Response = await self._client.authorize_redirect(request, self._url + _CALLBACK)
            return answer

        return await self._answer(request, redirect)

    async def _end(self, request: Request) -> Response:
        async def sign_in() -> Response:
            await self._check_provider()
            token = await self._client.authorize_access_token(request)
            claims = await self._claims(token)
            path = local_path(request.session.get("next"))
            request.session.clear()
            name = usable_name(claims.get(self._settings.oidc_name_claim))
            if name is None:
                return self._refuse(request, NO_NAME)
            groups = _texts(claims.get(self._settings.oidc_groups_claim))
            request.session["user"] = {"name": name, "groups": self._roles.of_interest(groups)}
            return RedirectResponse(path, 303)

        return await self._answer(request, sign_in)

    async def _sign_out(self, request: Request) -> Response:
        request.session.clear()
        return RedirectResponse(_SIGNED_OUT, 303)

    async def _claims(self, token: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims of the checked id token, and what only the provider's userinfo has."""
        claims = token.get("userinfo")
        if not claims or not claims.get("sub"):
            raise OAuthError("no_id_token")
        wanted = (self._settings.oidc_name_claim, self._settings.oidc_groups_claim)
        if all(claim in claims for claim in wanted) or "userinfo_endpoint" not in self._client.server_metadata:
            return dict(claims)
        more = await self._client.userinfo(token=token)
        if more.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, section 5.3.2
            raise OAuthError("userinfo_of_another_user")
        return {**more, **claims}

    async def _check_provider(self) -> None:
        metadata = await self._client.load_server_metadata()
        if str(metadata.get("issuer")).rstrip("/") != self._issuer.rstrip("/"):
            # It is kept otherwise, until the desk is started again.
            metadata.clear()
            raise OAuthError("issuer_is_not_the_one_set")
        # Nothing that needs no key of the provider's.
        algorithms = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
        metadata["id_token_signing_alg_values_supported"] = [
            it for it in algorithms if it.startswith(("RS", "PS", "ES", "Ed"))
        ]

    async def _answer(self, request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
        """What `answer` gives, or a refusal. The log has an error's code or kind: a text may hold a name or a token."""
        try:
            return await answer()
        except (httpx2.TransportError, httpx2.HTTPStatusError) as error:
            log.warning("the OpenID Connect provider does not answer", error=type(error).__name__)
            return self._refuse(request, PROVIDER_AWAY)
        except _SENSELESS as error:
            code = str(getattr(error, "error", None))
            is_code = len(code) < 40 and re.fullmatch("[a-z_]+", code)
            log.warning("signing in failed", error=code if is_code else type(error).__name__)
        request.session.clear()
        return self._refuse(request, SIGN_IN_FAILED)


def local_path(wanted: object) -> str:
    """A path on the desk to go to after signing in; its start page for anything else."""
    if not isinstance(wanted, str) or not wanted.startswith("/") or wanted.startswith(("//", "/\\", SIGN_IN)):
        return "/"
    return wanted if wanted.isprintable() and len(wanted) < 1000 else "/"


def _texts(claim: object) -> list[str]:
    if isinstance(claim, str):
        return [claim]
    return [it for it in claim if isinstance(it, str)] if isinstance(claim, list) else []
