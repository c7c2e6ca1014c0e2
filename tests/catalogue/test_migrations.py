"""A database that a former version of the catalogue made is brought to the present one in place, with all its rows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from catalogue import reader, schema
from catalogue.connection import connect
from catalogue.errors import CatalogueError
from consumers import catalogue
from schemas.base import Event
from schemas.clusters import Change
from schemas.dead_letters import encode_dead_letter
from schemas.topics import ASSIGNMENTS, DEAD_LETTERS, FACES, SCANS, Tombstone
from settings import DatabaseSettings, KafkaSettings, Settings
from tests.builders import former
from tests.builders.catalogue import all_counted, analysed, assigned, changed, dead, face, published, suggested
from tests.builders.clock import NOON, wait_until
from tests.builders.database import empty_database
from tests.builders.decisions import merged, named, removed, undone
from tests.builders.kafka import Stages, publish, publish_record, running, wait_until_done
from tests.builders.recorded import recorded, tables

GROUP = catalogue.GROUP
STAGES: Stages = {GROUP: catalogue.TOPICS}


@pytest.fixture
def bare(database: DatabaseSettings) -> Iterator[Connection]:
    """A connection to a database without a catalogue."""
    with psycopg.connect(str(database.url), autocommit=True) as opened:
        yield opened


def version(connection: Connection) -> int:
    ((found,),) = connection.execute("SELECT version FROM catalogue_version")
    return int(found)


def test_every_version_has_been_kept() -> None:
    assert {int(name[0]) for name in former.FORMER} == set(range(1, schema.VERSION))


@pytest.mark.parametrize("name", former.FORMER)
def test_a_database_of_a_former_version_opens_with_all_its_rows(
    database: DatabaseSettings, bare: Connection, name: str
) -> None:
    former.make(bare, name)
    former.fill(bare)
    before = former.rows_of(bare)
    connect(database).close()
    with connect(database) as connection:
        assert version(connection) == schema.VERSION
        assert tables(connection) == recorded("tables")
        after = former.rows_of(connection)
        for table, rows in before.items():
            if table in ("catalogue_version", "offsets", "row_counts"):
                continue
            # What each generation has of its own is in a table that is called otherwise.
            rows_after = after[table] if table in after else after[f"all_{table}"]
            assert [{column: row[column] for column in rows[0]} for row in rows_after] == rows, table
        years: dict[str, list[str]] = dict(connection.execute("SELECT scan_id, years FROM scans").fetchall())
        assert years == {"album/1.jpg": ["1931", "1932"], "album/2.tif#3": [], "prints/3.jpg": []}
        assert reader.counts(connection) == all_counted(connection)
        assert reader.counts(connection).dead_scans == 1
        assert reader.current_cluster(connection, "b1") == "a1"
        assert connection.execute("SELECT size, named, unsettled FROM cluster_totals").fetchall() == [(2, 1, 1)]
        assert connection.execute("SELECT * FROM label_totals").fetchall() == [("ann", 1, 1)]
        assert connection.execute("SELECT * FROM cluster_labels").fetchall() == [("a1", "ann", 1)]
        assert len(connection.execute("SELECT FROM face_catalogue").fetchall()) == 3


# What a version lacks that records say, so that the topic is read again.
_AGAIN = {"1": {"scans", "faces", "labels"}, "2": {"scans", "faces", "labels"}}
_AGAIN |= {"2-with-kept-faces": {"faces", "labels"}, "3": {"faces"}, "4-with-counts": {"faces"}}
_AGAIN |= {"4-with-totals": {"faces"}, "4": set(), "5": set()}


@pytest.mark.parametrize("name", former.FORMER)
def test_only_topics_that_say_more_than_the_rows_are_read_again(
    database: DatabaseSettings, bare: Connection, name: str
) -> None:
    former.make(bare, name)
    former.fill(bare)
    had = {topic for (topic,) in bare.execute("SELECT topic FROM offsets")}
    with connect(database) as connection:
        assert had - {topic for topic, _ in reader.offsets(connection, GROUP)} == _AGAIN[name]


@pytest.fixture(scope="module")
def fresh(kafka: KafkaSettings, server: str) -> Iterator[Connection]:
    """A catalogue of the present version that was filled from topics with a little of everything."""
    publish(kafka, a_little_of_everything())
    publish_record(kafka, DEAD_LETTERS, encode_dead_letter(replace(dead(b"c"), time=NOON), 2**20))
    with empty_database(server) as database:
        with running(Settings(kafka=kafka, database=database), catalogue.run):
            wait_until_done(kafka, STAGES)
        with connect(database) as connection:
            yield connection


@pytest.mark.parametrize("name", former.FORMER)
def test_a_migrated_database_that_has_read_on_is_that_of_a_new_one(
    kafka: KafkaSettings, fresh: Connection, database: DatabaseSettings, bare: Connection, name: str
) -> None:
    """The former catalogue had read everything; what its rows lack comes from the topics, and nothing else changes."""
    former.make(bare, name)
    former.copy(fresh, bare)
    read = reader.offsets(fresh, GROUP)
    with running(Settings(kafka=kafka, database=database), catalogue.run), connect(database) as migrated:
        # Not by the lag: the group has read everything, for the other database.
        wait_until(lambda: reader.offsets(migrated, GROUP) == read, "it is not filled again")
        assert reader.counts(migrated) == reader.counts(fresh) == all_counted(migrated)
        assert filled_rows(migrated) == filled_rows(fresh)
        assert migrated.execute("SELECT bool_or(negative) FROM faces").fetchone() == (True,)


def filled_rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """All rows but those whose exact form depends on the way to them; these are compared otherwise."""
    return {table: rows for table, rows in former.rows_of(connection).items() if table not in ("offsets", "row_counts")}


def a_little_of_everything() -> list[Event | Tombstone]:
    """Some of it as only later versions know it."""
    keep = {"face_id": "kept", "box": {"left": 0, "top": 0, "right": 1, "bottom": 1}}
    return [
        published("a", metadata={"title": "Summer 1931"}, keep=[keep]),
        published("b"),
        published("gone"),
        analysed("a", face("a1", [0.1]), face("a2").model_copy(update={"turn": 90, "negative": True})),
        analysed("b", face("b1", [0.1])),
        analysed("gone", face("g1")),
        assigned("a1", "a", "a1", name="ann"),
        suggested("b1", "b", "a1", ("ann", 0.9)),
        assigned("a2", "a", None),
        assigned("g1", "gone", None),
        *(Tombstone(SCANS, "gone"), Tombstone(FACES, "gone"), Tombstone(ASSIGNMENTS, "g1")),
        changed("a1", Change.CREATED, 2),
        *(named(1, "a1", "ann"), named(2, "b1", "anne"), merged(3, "ann", "anne"), named(4, "a2", "bea")),
        *(removed(5, "bea"), undone(6, "005")),
    ]


def test_several_processes_may_migrate_a_database_at_once(database: DatabaseSettings, bare: Connection) -> None:
    former.make(bare, "1")
    former.fill(bare)

    def opened(_: int) -> int:
        with connect(database) as connection:
            return reader.counts(connection).scans

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8))) == [3] * 8


@pytest.mark.parametrize(("name", "used"), [("2", "view people"), ("4-with-totals", "table cluster_totals")])
def test_a_migration_that_fails_leaves_the_database_as_it_was_and_the_next_start_goes_on(
    database: DatabaseSettings, bare: Connection, name: str, used: str
) -> None:
    former.make(bare, name)
    former.fill(bare)
    bare.execute(f"CREATE VIEW mine AS SELECT * FROM {used.rpartition(' ')[2]}".encode())
    before = former.rows_of(bare)
    with pytest.raises(CatalogueError, match=rf"views of your own .*\(view mine depends on {used}\)"):
        connect(database)
    assert (version(bare), former.rows_of(bare)) == (int(name[0]), before)
    bare.execute("DROP VIEW mine")
    with connect(database) as connection:
        assert version(connection) == schema.VERSION


@pytest.mark.parametrize("name", ["4", "5"])
def test_views_of_somebodys_own_and_grants_outlast_the_migration_from_version_4_on(
    database: DatabaseSettings, bare: Connection, name: str
) -> None:
    former.make(bare, name)
    former.fill(bare)
    bare.execute("CREATE VIEW mine AS SELECT face_id, collection FROM face_catalogue")
    # The second one is a view of the same name afterwards.
    for view in ("people", "cluster_changes"):
        bare.execute(f"GRANT SELECT ON {view} TO PUBLIC".encode())
    with connect(database) as connection:
        assert len(connection.execute("SELECT * FROM mine").fetchall()) == 3
        for view in ("people", "cluster_changes"):
            allowed = connection.execute("SELECT has_table_privilege('pg_monitor', %s, 'SELECT')", (view,))
            assert allowed.fetchone() == (True,)


def test_a_catalogue_of_a_later_version_is_refused(database: DatabaseSettings, bare: Connection) -> None:
    connect(database).close()
    bare.execute("UPDATE catalogue_version SET version = 99")
    with pytest.raises(CatalogueError, match=r"version 99, which is newer than this program.*: update Facestream"):
        connect(database)
    assert version(bare) == 99
