"""An archive with the clusterer and the catalogue of its first generation, and the command that builds others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import Connection

from catalogue.connection import connect
from cli.generation_consumers import run_first_clusterer
from consumers import catalogue
from schemas.base import Event
from settings import DatabaseSettings, KafkaSettings, Settings
from stream.generations import read_generations
from stream.stages import stages_with
from tests.builders.catalogue import analysed, face, published
from tests.builders.kafka import name_broker, publish, running, wait_until_done
from tests.builders.neighbours import Edge, record

STRING: Mapping[str, Sequence[Edge]] = {
    "a": (),
    "b": [("a", 0, 0.30)],
    "c": [("b", 1, 0.36)],
    "d": [("c", 2, 0.45)],
    "e": [("d", 3, 0.41)],
}
"""Faces on a string, each a scan of its own: a, b, c and d, e at 0.42, one cluster at 0.46."""


def string_of_faces() -> list[Event]:
    """The records of `scans`, `faces` and `neighbours` of these."""
    return [
        message
        for number, (name, edges) in enumerate(STRING.items())
        for message in (
            published(f"{name}.jpg", f"file:///{name}.jpg"),
            analysed(f"{name}.jpg", face(name)),
            record(f"{name}.jpg", number, {name: edges}, shards=1, eps_max=0.5),
        )
    ]


def archive_settings(
    data: Path, kafka: KafkaSettings, database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Those of an archive by Euclidean distance; the command has the same."""
    data.mkdir(exist_ok=True)
    monkeypatch.setenv("FACESTREAM_DATABASE__URL", str(database.url))
    monkeypatch.setenv("FACESTREAM_DATA", str(data))
    monkeypatch.setenv("FACESTREAM_CLUSTERING__EPS", "0.42")
    name_broker(kafka, monkeypatch)
    return Settings(kafka=kafka)


@contextmanager
def first_generation(settings: Settings, *messages: Event) -> Iterator[Settings]:
    """Its clusterer and the catalogue run; these messages are in all tables."""
    publish(settings.kafka, messages)
    with running(settings, run_first_clusterer, catalogue.run):
        wait_for_tables(settings)
        yield settings


def wait_for_tables(settings: Settings, within_s: float = 60) -> None:
    """Wait until all generations have read everything."""
    known = read_generations(settings.kafka)
    stages = {name: topics for name, topics in stages_with(known).items() if name not in ("detect", "index")}
    wait_until_done(settings.kafka, stages, within_s=within_s)


def places(connection: Connection, table: str = "assignments", where: str = "true") -> dict[str, str | None]:
    """The cluster of each face in a table or view."""
    return dict(connection.execute(f"SELECT face_id, cluster_id FROM {table} WHERE {where}".encode()).fetchall())


def places_of(settings: Settings, generation: str) -> dict[str, str | None]:
    """The cluster of each face in a generation, as the catalogue has it."""
    with connect(settings.database) as connection:
        return places(connection, "all_assignments", f"generation = '{generation}'")
