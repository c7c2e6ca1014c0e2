"""Nothing that is shown holds a secret: the one place through which errors, logs and lines for people pass.

What is secret is known from where all of it comes from, the environment and the files of FACESTREAM_SECRETS: passwords,
keys and tokens by their names, the password in the address of the database also where that is mistyped. Logins and
signatures in uris are cut by `schemas.uris`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from schemas.uris import CUT, text_without_credentials
from settings import SECRETS

_DATABASE = ("FACESTREAM_DATABASE__URL", "FACESTREAM_DATABASE")
_SECRET_NAME = re.compile(
    r"^(FACESTREAM|AWS|AZURE|GOOGLE|PG)\w*(PASSWORD|PASSWRD|PASSWD|SECRET|TOKEN|SECRET_ACCESS_KEY|ACCOUNT_KEY)$"
)
# Shorter ones are in many words.
_SHORTEST = 4
_SCHEME = re.compile(r"^(postgres(ql)?:?/*|[A-Za-z][A-Za-z0-9+.]*:/+)")
_PASSWORD = re.compile(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"\n]+\"|'[^'\n]+'")
_SEPARATORS = re.compile(r"[/@?:#%&=\s'\"\[\]]+")


def hidden(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without what the environment holds as a secret, and without logins in uris.

    environment: by default this process's, with the files that are settings as they were at the first call.

    A library may quote a part of a password that it took for a host or a port: such a quotation is cut as a whole.
    """
    text = text_without_credentials(text)
    for secret in sorted(set(_secrets(_own() if environment is None else environment)), key=len, reverse=True):
        # First what quotes it with more around it, such as a mistyped address.
        parts = {part for part in _SEPARATORS.split(secret) if len(part) >= _SHORTEST} | {secret}
        text = _QUOTED.sub(lambda match, parts=parts: _cut_if(match[0], parts), text)  # type: ignore[misc]
        text = text.replace(secret, CUT)
    return text


def _own() -> Mapping[str, str]:
    folder = os.environ.get(SECRETS)
    return _files(folder) | os.environ if folder else os.environ


@cache
def _files(folder: str) -> dict[str, str]:
    # What cannot be read is no setting either, which the settings say.
    with suppress(OSError):
        files = [path for path in Path(folder).iterdir() if path.is_file()]
        return {path.name: path.read_text(encoding="utf-8", errors="replace").strip() for path in files}
    return {}


def _cut_if(quoted: str, parts: set[str]) -> str:
    return f"{quoted[0]}{CUT}{quoted[-1]}" if any(part in quoted for part in parts) else quoted


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        found: list[str] = []
        if _SECRET_NAME.match(name.upper()):
            found = [value]
        elif name.upper() in _DATABASE:
            found = [password_of(value)]
        for secret in found:
            yield from (it for it in (secret, unquote(secret)) if len(it) >= _SHORTEST)


def password_of(address: str) -> str:
    """The password in the address of a database, also where it is mistyped; "" where there is none."""
    if match := _PASSWORD.search(address):
        return match[1].strip("'")
    login, at, _ = _SCHEME.sub("", address).rpartition("@")
    return login.partition(":")[2] if at else ""
