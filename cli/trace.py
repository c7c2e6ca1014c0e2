"""`facestream trace`: where the records of a scan are, and the trace by which logs and spans are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from cli.archive import open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, identifier, minute, number, print_rows
from errors import UserError
from producers.known import known_scans
from producers.topic_index import Remembered, TopicIndex
from schemas.codec import made_at
from schemas.faces import ScanAnalysed
from schemas.topics import FACES
from settings import Settings
from stream.records import Received
from telemetry.tracing import trace_in


@dataclass(frozen=True)
class TracedRecord:
    """The latest record of a scan in a topic: where it is, when it was made, and its trace, if it has one."""

    topic: str
    partition: int
    offset: int
    made_at: datetime | None
    trace_id: str | None


def trace(
    scan_id: Annotated[str, typer.Argument(metavar="SCAN_ID", help="The id of a scan.", show_default=False)],
    data: Data = None,
    json_: Json = False,
) -> None:
    """The trace of a scan, which is in each line of the logs that is about one of its records, and in its spans.

    And where its publication and its latest analysis are in the topics. Logs name no scan.
    """
    with open_archive(load_settings(data), "trace", database=False) as running:
        rows = [_traced(record) for record in _records(running, scan_id)]
    if not rows:
        raise UserError(f"no scan '{scan_id}' is published")
    if json_:
        print_rows(rows)
        return
    table = Table("topic", number("partition"), number("offset"), "made", identifier("trace"))
    for row in rows:
        made = minute(row.made_at) if row.made_at else "-"
        table.add_row(row.topic, str(row.partition), str(row.offset), made, row.trace_id or "-")
    console.print(table)


def _records(settings: Settings, scan_id: str) -> Iterator[Received]:
    with known_scans(settings.kafka, settings.data) as known:
        published = known.record(scan_id)
    if published is None:
        return
    yield published
    with TopicIndex(settings.kafka, FACES, Remembered(ScanAnalysed, {}), settings.data) as analyses:
        yield from analyses.records([scan_id]).values()


def _traced(record: Received) -> TracedRecord:
    headers = record.record.headers
    return TracedRecord(record.topic, record.partition, record.offset, made_at(record.record), trace_in(headers))
