"""`facestream audit`: how much of the true neighbours was found at once, and what an exact search mended."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cli.common import Data, Json, archive, console, errors, load_settings, log_to_stderr, now
from consumers import index as index_consumer
from consumers.audit import AuditProgress
from schemas.topics import FACES, NEIGHBOURS
from settings import Settings
from stream.lag import LagReader, lag_reader
from stream.topics import ensure_topics

_MEMBER = "audit"
_TICK_S = 0.5


def audit(
    all_: Annotated[bool, typer.Option("--all", help="Go on until everything that is there now is audited.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Recall of the search for neighbours, and what was mended. The index consumer audits whenever it is idle.

    With --all this waits for it; where no index consumer is running, it runs here until the end.
    """
    log_to_stderr(logging.WARNING)
    with archive(load_settings(data), database=False, command="audit") as settings:
        ensure_topics(settings.kafka)
        # Where nothing was indexed yet, there is one shard to come.
        shards = index_consumer.shards_known(settings.kafka) or 1
        with lag_reader(settings.kafka) as reader:
            if all_:
                _finish(settings, reader, shards)
            end = reader.end(NEIGHBOURS)
            audited = [_audited(reader, shard, shards) for shard in range(shards)]
    said = _said(audited, sum(max(0, end - it.offset) for it in audited))
    if json_:
        print(json.dumps(said))  # noqa: T201 - standard output is the result
    else:
        _print_table(said)


def _audited(reader: LagReader, shard: int, shards: int) -> AuditProgress:
    return AuditProgress.from_metadata(reader.checkpoint_metadata(index_consumer.group_of(shard, shards), FACES))


def _finish(settings: Settings, reader: LagReader, shards: int) -> None:
    """Wait until each shard has audited what is there now; one whose index nobody runs is run here."""
    end = reader.end(NEIGHBOURS)
    stop = threading.Event()
    here: dict[int, Future[None]] = {}
    columns = (TextColumn("auditing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with ThreadPoolExecutor(shards) as pool, Progress(*columns, console=errors) as progress:
        bar = progress.add_task("auditing", total=end * shards)
        try:
            while True:
                offsets = [min(end, _audited(reader, shard, shards).offset) for shard in range(shards)]
                progress.update(bar, completed=sum(offsets))
                for shard in (shard for shard, offset in enumerate(offsets) if offset < end):
                    if shard in here:
                        if here[shard].done():
                            here[shard].result()
                    elif not reader.has_members(index_consumer.group_of(shard, shards)):
                        here[shard] = pool.submit(
                            index_consumer.run, settings, _MEMBER, stop, now, shard=shard, shards=shards
                        )
                if min(offsets) == end:
                    break
                time.sleep(_TICK_S)
        finally:
            stop.set()
    for run in here.values():
        run.result()


def _said(audited: Sequence[AuditProgress], left: int) -> dict[str, Any]:
    pairs, found = sum(it.pairs for it in audited), sum(it.found for it in audited)
    return {
        "scans": sum(it.scans for it in audited),
        "records_left": left,
        "pairs": pairs,
        "found": found,
        "recall": found / pairs if pairs else 1.0,
        "mended": pairs - found,
        "said_again": sum(it.republished for it in audited),
    }


def _print_table(said: dict[str, Any]) -> None:
    table = Table(show_header=False, title="Audit of the neighbours")
    table.add_column()
    table.add_column(justify="right")
    for name, count in (
        ("scans audited", said["scans"]),
        ("  records not audited yet", said["records_left"]),
        ("pairs of neighbours", said["pairs"]),
        ("  found at once", said["found"]),
        ("  mended", said["mended"]),
        ("scans said again", said["said_again"]),
    ):
        table.add_row(name, f"{count:,}")
    table.add_row("recall before the audit", f"{said['recall']:.6f}")
    console.print(table)
