"""One owner per data folder: a lock that the system frees when the owner dies, and a file that says who it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from local.errors import LocalServiceError

_LOCK = "services.lock"
_OWNER = "services.json"


class Owner(BaseModel):
    """Who runs the services of a data folder, and where they answer."""

    pid: int
    command: str
    ready: bool = False
    kafka: str | None = None
    database: str | None = None


@contextmanager
def try_to_own(data: Path) -> Iterator[bool]:
    """Hold the data folder (made if absent) unless another does: gives whether it is held.

    Raises LocalServiceError if the folder cannot be made or written to.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / _LOCK).open("w")
    except OSError as error:
        raise LocalServiceError(f"the data folder {data} cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # A process forked from the owner would hold the lock beyond the owner's death.
        os.register_at_fork(after_in_child=file.close)
        # What an owner that was killed has left.
        (data / _OWNER).unlink(missing_ok=True)
        try:
            yield True
        finally:
            (data / _OWNER).unlink(missing_ok=True)
            fcntl.flock(file, fcntl.LOCK_UN)


def announce(data: Path, owner: Owner) -> None:
    """Write down who owns the folder. Only its owner may."""
    aside = data / f"{_OWNER}.new"
    aside.write_text(owner.model_dump_json())
    aside.replace(data / _OWNER)


def announced(data: Path) -> Owner | None:
    """Who is written down as the folder's owner and still runs; nobody while it is only starting to be."""
    try:
        owner = Owner.model_validate_json((data / _OWNER).read_text())
    except (FileNotFoundError, ValidationError):
        return None
    return owner if psutil.pid_exists(owner.pid) else None
