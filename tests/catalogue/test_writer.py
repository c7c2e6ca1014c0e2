"""Writing to a real PostgreSQL: the rows are a function of the records, not of batches and timing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from catalogue import dead_letters, reader, rows
from catalogue.connection import connect
from catalogue.writer import CONSUMER, write, write_since
from decisions.identities import Identities
from schemas.base import DLIB_EMBEDDER
from schemas.clusters import Change
from schemas.dead_letters import Settled
from schemas.faces import ScanAnalysed
from schemas.topics import ASSIGNMENTS, FACES, LABELS, SCANS, Checkpoint, Tombstone
from settings import DatabaseSettings
from tests.builders.catalogue import (
    PUBLISHED_AT,
    StreamRecord,
    all_counted,
    analysed,
    assigned,
    changed,
    dead,
    face,
    in_order,
    offsets_after,
    published,
    suggested,
)
from tests.builders.decisions import named, undone

TABLES = (
    "scans",
    "kept_faces",
    "analyses",
    "faces",
    "all_assignments",
    "all_cluster_totals",
    "all_cluster_labels",
    "all_label_totals",
    "decisions",
    "all_cluster_changes",
    "dead_letters",
    "offsets",
)


def rows_of(connection: Connection, table: str) -> list[tuple[object, ...]]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY {table}::text").fetchall()


def everything(connection: Connection) -> dict[str, list[str]]:
    return {
        table: [row[0] for row in connection.execute(f"SELECT {table}::text FROM {table} ORDER BY 1")]
        for table in TABLES
    }


def write_records(connection: Connection, records: Sequence[StreamRecord]) -> None:
    write(connection, records, offsets_after(records))


def test_a_face_is_found_with_its_scan_its_box_and_its_cluster(connection: Connection) -> None:
    write_records(
        connection,
        in_order("scans", published("album/1.jpg", "file:///album/1.jpg", page=2, metadata={"year": "1918"})),
    )
    write_records(connection, in_order("faces", analysed("album/1.jpg", face("f1"), width=1200)))
    write_records(
        connection, in_order("assignments", suggested("f1", "album/1.jpg", "f1", ("anna", 0.75), ("mari", 0.25)))
    )
    found = connection.execute(
        "SELECT face_id, scan_id, uri, page, box_left, box_bottom, cluster_id, role, label_id, soft_label, probability,"
        " distribution FROM face_catalogue"
    ).fetchall()
    names = [{"label_id": "anna", "probability": 0.75}, {"label_id": "mari", "probability": 0.25}]
    scan_and_box = ("f1", "album/1.jpg", "file:///album/1.jpg", 2, 0.25, 0.75)
    assert found == [(*scan_and_box, "f1", "core", None, "anna", 0.75, names)]
    assert connection.execute("SELECT metadata, width FROM scans JOIN analyses USING (scan_id)").fetchall() == [
        ({"year": "1918"}, 1200)
    ]
    assert connection.execute("SELECT landmarks, embedding::text FROM faces").fetchall() == [
        ([[0.3, 0.4], [0.45, 0.4]], f"[{','.join('0' * 128)}]")
    ]


def test_an_assignment_may_come_before_its_face(connection: Connection) -> None:
    write_records(connection, in_order("assignments", assigned("f1", "s1", "f1")))
    write_records(connection, in_order("faces", analysed("s1", face("f1"))))
    write_records(connection, in_order("scans", published("s1")))
    assert connection.execute("SELECT face_id, cluster_id FROM face_catalogue").fetchall() == [("f1", "f1")]


def test_a_new_analysis_replaces_the_old_one_with_all_its_faces(connection: Connection) -> None:
    write_records(connection, in_order("faces", analysed("s1", face("f1"), face("f2")), analysed("s2", face("g1"))))
    write_records(connection, in_order("faces", analysed("s1", face("f2"), face("f3")), start=2))
    found = connection.execute("SELECT face_id, scan_id, analysis FROM faces ORDER BY face_id").fetchall()
    assert found == [("f2", "s1", 2), ("f3", "s1", 2), ("g1", "s2", 1)]


def test_an_analysis_without_a_face_empties_its_scan(connection: Connection) -> None:
    write_records(connection, in_order("faces", analysed("s1", face("f1")), analysed("s1")))
    assert rows_of(connection, "faces") == []
    assert connection.execute("SELECT scan_id, analysis FROM analyses").fetchall() == [("s1", 1)]


def test_when_offsets_are_reset_an_older_record_never_replaces_a_newer_one(connection: Connection) -> None:
    records = [
        *in_order("faces", analysed("s1", face("f1")), analysed("s1", face("f2"))),
        *in_order("assignments", assigned("f1", "s1", "a", analysis=0), assigned("f1", "s1", "b", analysis=1)),
    ]
    write_records(connection, records)
    before = everything(connection)
    connection.execute("DELETE FROM offsets")
    write_records(connection, [records[0], records[2]])
    assert everything(connection) | {"offsets": []} == before | {"offsets": []}


@pytest.mark.parametrize("together", [True, False])
def test_withdrawing_a_scan_deletes_all_its_rows(connection: Connection, together: bool) -> None:
    there = [
        *in_order("scans", published("s1"), published("s2")),
        *in_order("faces", analysed("s1", face("f1")), analysed("s2", face("g1"))),
        *in_order("assignments", assigned("f1", "s1", "f1"), assigned("g1", "s2", "g1")),
    ]
    gone = [
        *in_order("scans", Tombstone(SCANS, "s1"), start=2),
        *in_order("faces", Tombstone(FACES, "s1"), start=2),
        *in_order("assignments", Tombstone(ASSIGNMENTS, "f1"), start=2),
    ]
    for batch in [there + gone] if together else [there, gone]:
        write_records(connection, batch)
    for table in ("scans", "analyses", "faces", "assignments"):
        assert [row[1 if table == "faces" else 0] for row in rows_of(connection, table)] == [
            "g1" if table == "assignments" else "s2"
        ]


def test_a_withdrawn_scan_is_not_in_the_view_while_its_faces_are_still_there(connection: Connection) -> None:
    write_records(connection, in_order("scans", published("s1")) + in_order("faces", analysed("s1", face("f1"))))
    write_records(connection, in_order("scans", Tombstone(SCANS, "s1"), start=1))
    assert rows_of(connection, "face_catalogue") == []


def test_a_record_is_written_once_also_when_the_answer_of_a_commit_was_lost(connection: Connection) -> None:
    records = in_order("assignments", assigned("f1", "s1", "a"), assigned("f1", "s1", "b"))
    write_records(connection, records)
    write(connection, records[:1], {("assignments", 0): 1})
    assert connection.execute("SELECT cluster_id FROM assignments").fetchall() == [("b",)]
    assert reader.offsets(connection, CONSUMER) == {("assignments", 0): 2}


def test_rows_and_offsets_are_written_together_or_not_at_all(database: DatabaseSettings) -> None:
    with connect(database) as connection, connect(database) as other:
        write_records(connection, in_order("scans", published("s1")))
        with other.transaction():
            other.execute("LOCK TABLE offsets IN ACCESS EXCLUSIVE MODE")
            connection.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.OperationalError):
                write_records(connection, in_order("scans", published("s2"), start=1))
        assert [row[0] for row in rows_of(connection, "scans")] == ["s1"]
        write_records(connection, in_order("scans", published("s2"), start=1))
        assert [row[0] for row in rows_of(connection, "scans")] == ["s1", "s2"]


def test_two_writers_of_the_same_records_write_what_one_writes(database: DatabaseSettings) -> None:
    records = in_order("assignments", *(assigned("f", "s", f"c{number}") for number in range(200)))

    def keep_writing() -> None:
        with connect(database) as connection:
            for start in range(0, 200, 5):
                write_records(connection, records[start : start + 5])

    writers = [threading.Thread(target=keep_writing) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=30)
    with connect(database) as connection:
        assert connection.execute("SELECT cluster_id FROM assignments").fetchall() == [("c199",)]
        assert reader.offsets(connection, CONSUMER) == {("assignments", 0): 200}


def test_a_record_that_no_row_can_hold_is_a_dead_letter_and_the_others_are_written(connection: Connection) -> None:
    records = [
        *in_order("labels", named(1, "f4", "ö" * 700), named(2, "f4", "anna")),
        *in_order("assignments", assigned("ö" * 700, "s3", "f4"), assigned("f5", "s3", "f4")),
    ]
    write_records(connection, records)
    stored = {(it.topic, it.offset): it.reason for it in dead_letters.stored(connection)}
    too_long = f"an id of more than 1300 bytes: {'ö' * 60}…"
    assert stored == {("labels", 0): too_long, ("assignments", 0): too_long}
    assert [row[0] for row in rows_of(connection, "decisions")] == ["002"]
    assert [row[0] for row in rows_of(connection, "assignments")] == ["f5"]


def refused_by_postgresql(scan_id: str) -> ScanAnalysed:
    """An analysis that only PostgreSQL refuses: events have bounds that keep out what is known to be refused."""
    short = face(f"face of {scan_id}").model_copy(update={"embedding": b"\0\0\0\0"})
    return analysed(scan_id).model_copy(update={"faces": (short,)})


def refused_by_its_client(scan_id: str) -> ScanAnalysed:
    """An analysis that psycopg cannot send."""
    return analysed(scan_id).model_copy(update={"sha256": "\ud800"})


@pytest.mark.parametrize("refused", [refused_by_postgresql, refused_by_its_client])
@pytest.mark.parametrize("number", [1, 7, 40])
def test_what_only_postgresql_refuses_is_a_dead_letter_and_the_others_are_written(
    connection: Connection, number: int, refused: Callable[[str], ScanAnalysed]
) -> None:
    good = [analysed(f"s{offset}", face(f"f{offset}")) for offset in range(number)]
    bad = [refused(f"bad{offset}") for offset in range(1 + number // 10)]
    messages = sorted([*good, *bad], key=lambda event: event.scan_id[::-1])
    write_records(connection, in_order("faces", *messages))
    letters = {it.key for it in dead_letters.stored(connection)}
    assert letters == {event.scan_id for event in bad}
    assert {row[0] for row in rows_of(connection, "analyses")} == {event.scan_id for event in good}
    assert reader.offsets(connection, CONSUMER) == {("faces", 0): len(messages)}
    assert reader.counts(connection) == all_counted(connection)


def test_a_record_that_was_refused_before_the_database_went_away_is_reported(
    connection: Connection, database: DatabaseSettings
) -> None:
    records = in_order("faces", refused_by_postgresql("bad"), analysed("good", face("f")))
    checkpoints = {("faces", 0): Checkpoint(2)}
    reported: list[str] = []
    with connect(database) as another:

        def refused(one: rows.Received, _: str) -> None:
            reported.append(str(one.message.key) if isinstance(one.message, ScanAnalysed) else "")
            connection.execute("SELECT pg_terminate_backend(%s)", (another.info.backend_pid,))

        with pytest.raises(psycopg.OperationalError):
            write_since(another, records, {}, checkpoints, CONSUMER, refused)
    assert write_since(connection, records, {}, checkpoints, CONSUMER, refused)
    assert reported == ["bad"]
    assert [row[0] for row in rows_of(connection, "analyses")] == ["good"]


def test_a_face_stays_with_the_first_live_scan_that_has_it(connection: Connection) -> None:
    def scans_of_faces() -> dict[str, str]:
        return dict(connection.execute("SELECT face_id, scan_id FROM faces").fetchall())

    write_records(connection, in_order("faces", analysed("a", face("f")), analysed("b", face("f"), face("g"))))
    assert scans_of_faces() == {"f": "a"}
    (letter,) = dead_letters.stored(connection)
    assert (letter.key, letter.reason) == ("b", "face 'f' belongs to another scan, 'a'")
    # In one batch: the first scan gives it up, the second may have it, and the first no longer.
    again: list[ScanAnalysed | Tombstone] = [
        Tombstone(FACES, "a"),
        analysed("b", face("f"), face("g")),
        analysed("a", face("g")),
    ]
    write_records(connection, in_order("faces", *again, start=2))
    assert scans_of_faces() == {"f": "b", "g": "b"}


def test_a_settled_dead_letter_is_in_the_tables_no_more(connection: Connection) -> None:
    letters = [dead(b"s1"), dead(b"s2", offset=1)]
    write_records(connection, in_order("scans", published("s1"), published("s2")))
    write_records(connection, in_order("dead-letters", *letters))
    assert reader.counts(connection).dead_scans == 2
    settled = Settled("scans", 0, 0, "detect", "dropped", PUBLISHED_AT)
    write_records(connection, in_order("dead-letters", settled, start=2))
    assert [letter.key for letter in dead_letters.stored(connection)] == ["s2"]
    assert reader.counts(connection) == all_counted(connection)
    # Again a dead letter, after it was settled, and settled before it was known.
    write_records(connection, in_order("dead-letters", settled, letters[0], settled, letters[0], start=3))
    assert {letter.key for letter in dead_letters.stored(connection)} == {"s1", "s2"}
    assert reader.counts(connection) == all_counted(connection)


def test_a_row_has_every_column_of_its_table(connection: Connection) -> None:
    analysis, change = analysed("s1", face("f1")), changed("c1", Change.CREATED)
    (refused,) = in_order("faces", analysis)
    made = {
        "scans": rows.scan(published("s1")),
        "analyses": rows.analysis(0, analysis, None),
        "faces": next(rows.faces(0, analysis, DLIB_EMBEDDER)),
        "all_assignments": rows.assignment(assigned("f1", "s1", "f1")),
        "decisions": rows.decision(named(1, "f1", "anna")),
        "known_labels": rows.known_label("anna", Identities([named(1, "f1", "anna")])),
        "all_cluster_changes": rows.cluster_change(0, 0, change),
        "dead_letters": rows.dead_letter(dead(b"s1")),
    }
    for table, row in made.items():
        columns = connection.execute(f"SELECT * FROM {table}").description or ()
        assert [*row] == [column.name for column in columns]
    assert [*rows.refused_record(refused, CONSUMER, "too long", PUBLISHED_AT)] == [*made["dead_letters"]]


def test_the_longest_ids_fit(connection: Connection) -> None:
    # Random, because PostgreSQL compresses what repeats.
    face_id, scan_id = (Random(seed).randbytes(650).hex() for seed in (1, 2))
    write_records(connection, in_order("faces", analysed(scan_id, face(face_id))))
    write_records(connection, in_order("assignments", assigned(face_id, scan_id, face_id)))
    assert reader.counts(connection).faces == reader.counts(connection).clusters == 1


def test_a_character_nul_which_postgresql_cannot_hold_is_replaced(connection: Connection) -> None:
    write_records(connection, in_order("scans", published("s\x00", metadata={"no\x00te": "a\x00b"})))
    assert connection.execute("SELECT scan_id, metadata FROM scans").fetchall() == [
        ("s\ufffd", {"no\ufffdte": "a\ufffdb"})
    ]
    write_records(connection, in_order("scans", Tombstone(SCANS, "s\x00"), start=1))
    assert rows_of(connection, "scans") == []


def test_dead_letters_are_stored_once_whatever_their_key(connection: Connection) -> None:
    letters = [dead(b"s1"), dead(None, offset=1), dead(b"\xff\x00", offset=2), dead(b"s1", "still not")]
    write_records(connection, in_order("dead-letters", *letters))
    stored = [(it.offset, it.key, it.reason) for it in dead_letters.stored(connection)]
    assert stored == [(2, "\\xff\ufffd", "not a picture"), (1, None, "not a picture"), (0, "s1", "still not")]


SCAN_IDS = ("s1", "s2", "s3")
FACE_IDS = ("f1", "f2", "f3")

scans = st.sampled_from(SCAN_IDS).flatmap(
    lambda key: st.sampled_from([published(key), published(key, "file:///moved.jpg"), Tombstone(SCANS, key)])
)
analyses: st.SearchStrategy[ScanAnalysed | Tombstone] = st.sampled_from(SCAN_IDS).flatmap(
    lambda key: st.one_of(
        st.just(Tombstone(FACES, key)),
        st.lists(st.sampled_from(FACE_IDS), unique=True).map(
            lambda ids: analysed(key, *(face(f"{key}-{it}") for it in ids))
        ),
    )
)
assignments = st.tuples(st.sampled_from(SCAN_IDS), st.sampled_from(FACE_IDS)).flatmap(
    lambda key: st.sampled_from(
        [
            assigned("-".join(key), key[0], "c1"),
            assigned("-".join(key), key[0], None),
            assigned("-".join(key), key[0], "c2", name="anna"),
            Tombstone(ASSIGNMENTS, "-".join(key)),
        ]
    )
)
decisions = st.sampled_from(
    [
        named(1, "s1-f1", "anna"),
        named(1, "s1-f1", "mari"),
        undone(2, "001"),
        *(Tombstone(LABELS, it) for it in ("001", "002")),
    ]
)
changes = st.sampled_from([changed("c1", Change.CREATED), changed("c1", Change.MERGED, successor="c2")])
any_dead_letters = st.sampled_from(
    [
        dead(b"s1"),
        dead(b"s2", offset=1),
        dead(b"s2", "again", offset=1),
        dead(b"s2", offset=2),
        dead(b"s3", topic="faces"),
        dead(b"\xff", offset=3),
        dead(None, offset=4),
        Settled("scans", 0, 1, "detect", "dropped", PUBLISHED_AT),
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logs=st.fixed_dictionaries(
        {
            "scans": st.lists(scans, max_size=8),
            "faces": st.lists(analyses, max_size=8),
            "assignments": st.lists(assignments, max_size=12),
            "assignments-green": st.lists(assignments, max_size=6),
            "labels": st.lists(decisions, max_size=6),
            "clusters": st.lists(changes, max_size=4),
            "clusters-green": st.lists(changes, max_size=2),
            "dead-letters": st.lists(any_dead_letters, max_size=6),
        }
    ),
    data=st.data(),
)
def test_the_tables_are_the_same_whatever_the_interleaving_the_batches_and_the_restarts(
    connection: Connection, logs: dict[str, list[rows.Message]], data: st.DataObject
) -> None:
    topics = {topic: in_order(topic, *messages) for topic, messages in logs.items()}
    clear = "TRUNCATE row_counts, " + ", ".join(TABLES)
    connection.execute(clear)
    for records in topics.values():
        write_records(connection, records)
    expected = everything(connection)

    connection.execute(clear)
    read = dict.fromkeys(topics, 0)
    while unread := [topic for topic, records in topics.items() if read[topic] < len(records)]:
        batch: list[StreamRecord] = []
        for topic in data.draw(st.lists(st.sampled_from(unread), min_size=1, max_size=3, unique=True)):
            upto = data.draw(st.integers(read[topic] + 1, len(topics[topic])))
            batch += topics[topic][read[topic] : upto]
            read[topic] = upto
        write_records(connection, batch)
        if data.draw(st.booleans()):
            write_records(connection, batch)
        assert reader.counts(connection) == all_counted(connection)
    assert everything(connection) == expected


def test_counts_are_exact_with_records_that_no_row_can_hold_and_where_a_write_fails(connection: Connection) -> None:
    too_wide = refused_by_postgresql("s1")
    records = [*in_order("scans", published("s1"), published("s\x00")), *in_order("faces", too_wide)]
    write_records(connection, [*records, *in_order("dead-letters", dead(b"s\x00"))])
    with pytest.raises(psycopg.Error), connection.transaction():
        write_records(connection, in_order("scans", published("s2"), start=2))
        connection.execute("SELECT 1 / 0")
    write_records(connection, in_order("scans", published("s3"), start=2))
    assert reader.counts(connection) == all_counted(connection)
    assert reader.counts(connection).scans == 3
    assert reader.counts(connection).dead_letters == 2
