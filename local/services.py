"""The services that settings do not name: started in the data folder, or shared with the process that did."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local.access import FILE, access
from local.errors import LocalServiceError
from local.keeper import Keeper
from local.owner import Owner, announce, announced, try_to_own
from settings import Settings

__all__ = ["LocalServiceError", "Services", "client_file", "has_archive", "kept_services", "services"]

# The first start fetches the broker's jars as well.
_OWNER_READY_WITHIN_S = 300.0
_POLL_S = 0.2
# Commands that own a folder until they are stopped. Others, such as `status`, are done soon, and are waited for.
_LASTING = ("run", "watch", "up", "desk", "replay", "detect", "index", "cluster", "catalogue")
_BRIEF_S = 15.0
_KAFKA, _POSTGRES = "kafka", "postgres"


def _to_stderr(line: str) -> None:
    with suppress(OSError, ValueError):
        print(f"facestream: {line}", file=sys.stderr, flush=True)  # noqa: T201 - a line for a person, whatever runs


@dataclass(frozen=True)
class Services:
    """Settings with the addresses of services that answer. keeper: what keeps those running that run here."""

    settings: Settings
    keeper: Keeper


@contextmanager
def services(
    settings: Settings,
    *,
    kafka: bool = True,
    database: bool = True,
    exclusive: bool = False,
    existing: bool = False,
    command: str,
) -> Iterator[Settings]:
    """As `kept_services`, for those who need the settings only."""
    opened = kept_services(
        settings, kafka=kafka, database=database, exclusive=exclusive, existing=existing, command=command
    )
    with opened as running:
        yield running.settings


@contextmanager
def kept_services(
    settings: Settings,
    *,
    kafka: bool = True,
    database: bool = True,
    exclusive: bool = False,
    existing: bool = False,
    command: str,
    report: Callable[[str], None] = _to_stderr,
) -> Iterator[Services]:
    """Yield settings with the addresses of a broker and a database that answer, if `kafka` and `database` are true.

    A service that the settings name is used. Another runs embedded, with its data below `settings.data`. One process
    owns that folder: it starts the services, starts them again when they end, and stops them at the end; `report` is
    called with a line whenever one has ended and answers again. Other processes share the services of the owner, and
    become the owner if there is none. `exclusive` requires to be the owner. `existing` refuses a folder in which no
    service has data yet. `command` is the name of the owner in other processes' error messages. Enter this from the
    main thread, see `local.child.start`.

    Raises LocalServiceError, whose text is one line; also at the end, where a service was given up.
    """
    needs_kafka = kafka and settings.kafka.bootstrap_servers is None
    needs_database = database and settings.database.url is None
    if not (needs_kafka or needs_database):
        yield Services(settings, Keeper(report))
        return
    data = settings.data.resolve()
    if existing and not has_archive(data):
        raise LocalServiceError(
            f"no archive in {settings.data}: name its folder with --data, or start one with facestream run FOLDER"
        )
    deadline = time.monotonic() + _OWNER_READY_WITHIN_S
    brief_until = time.monotonic() + _BRIEF_S
    while True:
        with try_to_own(data) as owned:
            if owned:
                with _started(data, Owner(pid=os.getpid(), command=command), needs_kafka, needs_database, report) as (
                    started,
                    keeper,
                ):
                    yield Services(_with_services(settings, data, started, needs_kafka, needs_database), keeper)
                    keeper.check()
                return
        owner = announced(data)
        if exclusive and ((owner and owner.command in _LASTING) or time.monotonic() > brief_until):
            raise LocalServiceError(f"{_in_use(data, owner)}: stop it first, or choose another folder with --data")
        if owner and owner.ready and not exclusive:
            _refuse_if_lacking(data, owner, needs_kafka, needs_database)
            yield Services(_with_services(settings, data, owner, needs_kafka, needs_database), Keeper(report))
            return
        if time.monotonic() > deadline:
            raise LocalServiceError(
                f"{_in_use(data, owner)}, whose services are not up after {_OWNER_READY_WITHIN_S:.0f} s: "
                f"see the logs in {data / _KAFKA} and {data / _POSTGRES}"
            )
        time.sleep(_POLL_S)


def has_archive(data: Path) -> bool:
    """Whether an embedded service has its data in this folder."""
    return any((data / name).is_dir() for name in (_KAFKA, _POSTGRES))


def client_file(settings: Settings) -> Path | None:
    """The file that says how subscribers connect to the embedded broker; None where the settings name another one."""
    return settings.data / _KAFKA / FILE if settings.kafka.bootstrap_servers is None else None


@contextmanager
def _started(
    data: Path, owner: Owner, kafka: bool, database: bool, report: Callable[[str], None]
) -> Iterator[tuple[Owner, Keeper]]:
    # Imported here: a process that shares services needs none of what starts them.
    from local.kafka import Broker
    from local.postgres import Database

    def tell_others() -> None:
        # Whoever asks while a service is started again waits for it. On a full disk nobody can know.
        with announcing, suppress(OSError):
            announce(data, owner.model_copy(update={"ready": keeper.is_up}))

    announcing = threading.Lock()
    try:
        announce(data, owner)
    except OSError as error:
        raise LocalServiceError(f"the data folder {data} cannot be used: {error.strerror}") from error
    with ExitStack() as stack:
        keeper = Keeper(report, tell_others)
        if database:
            server = Database(data / _POSTGRES)
            stack.callback(server.close)
            owner.database = server.url
        stack.enter_context(keeper)
        if kafka:
            broker = Broker(data / _KAFKA, report)
            owner.kafka = broker.access.address
            keeper.start(broker)
        if database:
            keeper.start(server)
        tell_others()
        yield owner, keeper


def _with_services(settings: Settings, data: Path, owner: Owner, kafka: bool, database: bool) -> Settings:
    if kafka:
        broker = settings.kafka.model_copy(update=access(data / _KAFKA).settings)
        settings = settings.model_copy(update={"kafka": broker})
    if database:
        server = settings.database.model_copy(update={"url": owner.database})
        settings = settings.model_copy(update={"database": server})
    return settings


def _refuse_if_lacking(data: Path, owner: Owner, kafka: bool, database: bool) -> None:
    lacking = [
        *(["Kafka"] if kafka and owner.kafka is None else []),
        *(["PostgreSQL"] if database and owner.database is None else []),
    ]
    if lacking:
        raise LocalServiceError(
            f"{_in_use(data, owner)}, which runs no embedded {' and no '.join(lacking)}: stop it first, "
            "or start `facestream run`, which has everything"
        )


def _in_use(data: Path, owner: Owner | None) -> str:
    by = f"`facestream {owner.command}` (process {owner.pid})" if owner else "another process that is just starting"
    return f"the data folder {data} is in use by {by}"
