"""Who is asking: the one local user, whom a proxy names, or who has signed in. And which roles they have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal, Protocol

from starlette.requests import Request

from settings import DeskSettings, is_loopback
from web.access_texts import BEHIND_A_PROXY, NOT_BY_THE_PROXY, SIGN_IN, Refusal

Role = Literal["read", "decide", "operate"]

_ROLES: tuple[Role, ...] = ("read", "decide", "operate")
_LONGEST_NAME = 200
# What proxies add to the requests that they pass on.
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class User:
    """Who is asking: their name, which is the author of their decisions, and what they may do."""

    name: str
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Whether the user has a role."""
        return role in self.roles


class Identification(Protocol):
    """A way of finding out who is asking."""

    def __call__(self, request: Request) -> User | Refusal:
        """The user, or why there is none."""


class Roles:
    """Who has which role, by the settings. A role includes those before it: read, decide, operate."""

    def __init__(self, settings: DeskSettings) -> None:
        self._members = {role: {_normal(it) for it in getattr(settings, role)} for role in _ROLES}

    def of(self, name: str, groups: Iterable[str] = ()) -> frozenset[Role]:
        """The roles of a user with this name, who is in these groups."""
        # A name that looks like an entry for a group, or for everyone, is neither.
        known_as = {_normal(f"group:{group}") for group in groups} | {"*"}
        if not name.startswith("group:"):
            known_as.add(_normal(name))
        highest = max((rank for rank, role in enumerate(_ROLES) if self._members[role] & known_as), default=-1)
        return frozenset(_ROLES[: highest + 1])

    def of_interest(self, groups: Iterable[str]) -> list[str]:
        """Those of the groups that the settings name, in order."""
        named = set().union(*self._members.values())
        return sorted(group for group in groups if _normal(f"group:{group}") in named)


class LocalUser:
    """Everyone who connects from this machine is one user, with all roles."""

    def __init__(self, name: str) -> None:
        self._user = User(name, frozenset(_ROLES))

    def __call__(self, request: Request) -> User | Refusal:
        """The local user. A request that was passed on by a proxy may come from anywhere, so it is nobody's."""
        if any(header in request.headers for header in _PROXY_HEADERS):
            return BEHIND_A_PROXY
        return self._user if is_loopback(peer(request)) else SIGN_IN


class ProxyUser:
    """The user whom a proxy names in a header. Only the listed peers are believed."""

    def __init__(self, header: str, peers: Sequence[IPv4Network | IPv6Network], roles: Roles) -> None:
        self._header = header.lower().encode()
        self._peers = peers
        self._roles = roles

    def __call__(self, request: Request) -> User | Refusal:
        """The user. There is none in a request from another peer, without the header, or with two of them."""
        if not self._is_listed(peer(request)):
            return NOT_BY_THE_PROXY
        values = [value for name, value in request.headers.raw if name == self._header]
        try:
            # Of two, one may be what a browser sent and the proxy did not remove.
            name = usable_name(values[0].decode()) if len(values) == 1 else None
        except UnicodeDecodeError:
            name = None
        return User(name, self._roles.of(name)) if name else SIGN_IN

    def _is_listed(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._peers)


class SessionUser:
    """The user who signed in at the provider (web.access_oidc), as the signed cookie has it."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    def __call__(self, request: Request) -> User | Refusal:
        """The user. The roles are those of the present settings, not those at the time of signing in."""
        match request.session.get("user"):
            case {"name": str(name), "groups": list(groups)}:
                return User(name, self._roles.of(name, groups))
            case _:
                return SIGN_IN


def peer(request: Request) -> str:
    """The address of whoever connected; empty where it is not known."""
    return request.client.host if request.client else ""


def usable_name(given: object) -> str | None:
    """A name as an author of decisions has it; None for what is no name: empty, too long, with control characters."""
    name = _normal(given).strip() if isinstance(given, str) else ""
    if not name or len(name) > _LONGEST_NAME or any(unicodedata.category(it).startswith("C") for it in name):
        return None
    return name


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)
