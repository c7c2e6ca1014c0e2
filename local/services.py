"""The services that settings do not name: started in the data folder, or shared with the process that did."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.errors import LocalServiceError
from local.owner import Owner, announce, announced, try_to_own
from settings import Settings

__all__ = ["LocalServiceError", "services"]

# The first start fetches the broker's jars as well.
_OWNER_READY_WITHIN_S = 300.0
_POLL_S = 0.2
_KAFKA, _POSTGRES = "kafka", "postgres"


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
    """Yield settings with the addresses of a broker and a database that answer, if `kafka` and `database` are true.

    A service that the settings name is used. Another runs embedded, with its data below `settings.data`. One process
    owns that folder: it starts the services and stops them at the end. Other processes share the services of the owner,
    and become the owner if there is none. `exclusive` requires to be the owner. `existing` refuses a folder in which no
    service has data yet. `command` is the name of the owner in other processes' error messages. Enter this from the
    main thread, see `local.child.start`.

    Raises LocalServiceError, whose text is one line.
    """
    needs_kafka = kafka and settings.kafka.bootstrap_servers is None
    needs_database = database and settings.database.url is None
    if not (needs_kafka or needs_database):
        yield settings
        return
    data = settings.data.resolve()
    if existing and not any((data / name).is_dir() for name in (_KAFKA, _POSTGRES)):
        raise LocalServiceError(
            f"no archive in {settings.data}: name its folder with --data, or start one with facestream run FOLDER"
        )
    deadline = time.monotonic() + _OWNER_READY_WITHIN_S
    while True:
        with try_to_own(data) as owned:
            if owned:
                with _started(data, Owner(pid=os.getpid(), command=command), needs_kafka, needs_database) as started:
                    yield _with_services(settings, started, needs_kafka, needs_database)
                return
        owner = announced(data)
        if exclusive:
            raise LocalServiceError(f"{_in_use(data, owner)}: stop it first, or choose another folder with --data")
        if owner and owner.ready:
            _refuse_if_lacking(data, owner, needs_kafka, needs_database)
            yield _with_services(settings, owner, needs_kafka, needs_database)
            return
        if time.monotonic() > deadline:
            raise LocalServiceError(
                f"{_in_use(data, owner)}, whose services are not up after {_OWNER_READY_WITHIN_S:.0f} s: "
                f"see the logs in {data / _KAFKA} and {data / _POSTGRES}"
            )
        time.sleep(_POLL_S)


@contextmanager
def _started(data: Path, owner: Owner, kafka: bool, database: bool) -> Iterator[Owner]:
    # Imported here: a process that shares services needs none of what starts them.
    from local import kafka as embedded_kafka
    from local import postgres as embedded_postgres

    announce(data, owner)
    with ExitStack() as stack:
        kafka_folder, postgres_folder = data / _KAFKA, data / _POSTGRES
        embedded_kafka.stop_orphan(kafka_folder)
        embedded_postgres.stop_orphan(postgres_folder)
        if kafka:
            owner.kafka = stack.enter_context(embedded_kafka.broker(kafka_folder))
        if database:
            owner.database = stack.enter_context(embedded_postgres.database(postgres_folder))
        owner.ready = True
        announce(data, owner)
        yield owner


def _with_services(settings: Settings, owner: Owner, kafka: bool, database: bool) -> Settings:
    if kafka:
        broker = settings.kafka.model_copy(update={"bootstrap_servers": owner.kafka})
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
