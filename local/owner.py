"""One owner per data folder: a lock that the system frees when the owner ends, and a file that names the owner."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from local.errors import LocalServiceError

_LOCK = "services.lock"
_OWNER = "services.json"


class Owner(BaseModel):
    """The process that runs the services of a data folder, and their addresses."""

    pid: int
    command: str
    ready: bool = False
    kafka: str | None = None
    database: str | None = None


@contextmanager
def try_to_own(data: Path) -> Iterator[bool]:
    """Lock the data folder (created if absent) unless another process has: yields whether it is locked.

    Raises LocalServiceError if the folder cannot be created or written to.
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
        # A process forked from the owner would hold the lock after the owner has ended.
        os.register_at_fork(after_in_child=file.close)
        # Left by an owner that was killed.
        (data / _OWNER).unlink(missing_ok=True)
        try:
            yield True
        finally:
            (data / _OWNER).unlink(missing_ok=True)
            fcntl.flock(file, fcntl.LOCK_UN)


def announce(data: Path, owner: Owner) -> None:
    """Write the owner's file. Only the owner may call this."""
    new = data / f"{_OWNER}.new"
    new.write_text(owner.model_dump_json())
    new.replace(data / _OWNER)


def announced(data: Path) -> Owner | None:
    """The folder's owner by its file, if that process runs; None also while an owner is only starting."""
    try:
        owner = Owner.model_validate_json((data / _OWNER).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return owner if _runs(owner.pid) else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
