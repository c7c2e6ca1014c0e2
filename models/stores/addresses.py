"""Which addresses http may reach. A name is resolved once, and what was checked is what is connected to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from models.stores.deadline import Deadline
from models.stores.errors import StoreUnavailable, UnavailableImage

Address = IPv4Address | IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SETTING = "FACESTREAM_STORES__PRIVATE_HOSTS"


def connect(host: str, port: int, private_hosts: Sequence[str] | None, deadline: Deadline) -> socket.socket:
    """A connection to a host, at the first of its addresses that answers.

    Every address has to be public, unless `private_hosts` has the host or its network, or is None. Raises
    UnavailableImage where one is not, StoreUnavailable where none answers, and DeadlinePassed.
    """
    store = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host's name"
        raise StoreUnavailable(store, f"the host {host} is unknown ({reason})", "store") from error
    if private_hosts is not None:
        for *_, address in found:
            _refuse_private(host, str(address[0]), private_hosts)
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            # Each address has its share of the time, since the first may be one that drops everything.
            connection.settimeout(deadline.remaining / 2 if len(found) > 1 else deadline.remaining)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            connection.settimeout(deadline.remaining)
            return connection
    reason = (failure and failure.strerror) or "no answer in time"
    raise StoreUnavailable(store, reason[:1].lower() + reason[1:], "store") from failure


def is_public(address: Address) -> bool:
    """Whether an address is reachable from everywhere: not of a private network, this machine, or this link.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) is as public as that one.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def _refuse_private(host: str, number: str, private_hosts: Sequence[str]) -> None:
    address = ipaddress.ip_address(number.partition("%")[0])
    if is_public(address) or "*" in private_hosts or host.lower() in map(str.lower, private_hosts):
        return
    for allowed in private_hosts:
        with suppress(ValueError):  # a host's name is no network
            if address in ipaddress.ip_network(allowed, strict=False):
                return
    hint = f"""allow it with {_SETTING}='["{host}"]'"""
    raise UnavailableImage(f"the host {host} has the private address {address}: {hint}")
