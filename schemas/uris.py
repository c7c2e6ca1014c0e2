"""Uris without what is secret in them: for logs, messages, dead letters, tables and screens."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus, urlsplit, urlunsplit

CUT = "…"
"""What stands in place of a secret value."""

# Names of parameters that hold a signature, a token or a key: those of S3, Google Cloud Storage, Azure and CloudFront,
# and those that web services use. The whole name, or its end after - or _.
_SECRET = re.compile(
    r"(^|[-_])(signature|sig|token|secret|password|passwd|pwd|credentials?|auth|authorization|jwt|ticket|session|"
    r"sessionid|policy)$|api[-_]?key|access[-_]?key|subscription[-_]key|key[-_]pair[-_]id|accessid$",
    re.IGNORECASE,
)
# A login in a uri that is not the whole uri: in a chain of uris, or in the path of another one.
_LOGIN = re.compile(r"(?<=:)//[^/?#@\s]*@")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def without_credentials(uri: str) -> str:
    """A uri without user and password, and with secret parameters cut. A malformed one loses all but its scheme."""
    return _LOGIN.sub("//", _without_own_credentials(uri))


def _without_own_credentials(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return f"{uri.partition('://')[0]}://{CUT}"
    if "@" not in parts.netloc and not parts.query and not parts.fragment:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, _cut(parts.query), _cut(parts.fragment)))


def has_credentials(uri: str) -> bool:
    """Whether a uri holds a user or password, or a secret parameter."""
    return without_credentials(uri) != uri


def text_without_credentials(text: str) -> str:
    """A text, such as a library's message, with every uri in it as `without_credentials` returns it."""
    return _URI.sub(lambda match: without_credentials(match[0]), text)


def _cut(parameters: str) -> str:
    return "&".join(map(_cut_one, parameters.split("&"))) if parameters else parameters


def _cut_one(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}={CUT}" if equals and _SECRET.search(unquote_plus(name)) else parameter
