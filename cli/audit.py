"""`facestream audit`: the recall of the search for neighbours, and what an exact search added afterwards."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, Any

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.logs import log_to_stderr
from cli.options import Data, Json
from cli.printing import print_json, print_values
from cli.progress import progress_bar
from consumers import index as index_consumer
from consumers.audit import AuditProgress
from schemas.topics import FACES, NEIGHBOURS
from settings import Settings
from stream.lag import LagReader, lag_reader

_MEMBER = "audit"
_TICK_S = 0.5


def audit(
    all_: Annotated[bool, typer.Option("--all", help="Wait until everything that is there now is audited.")] = False,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Recall of the search for neighbours, and what was mended. The index consumer audits whenever it is idle.

    With --all this waits for the index consumer; if none is running, it runs in this process until the end.
    """
    log_to_stderr(logging.WARNING)
    with open_archive(load_settings(data), "audit", database=False) as settings:
        # Before anything is indexed, one shard is expected.
        shards = index_consumer.shards_known(settings.kafka) or 1
        with lag_reader(settings.kafka) as reader:
            if all_:
                _finish(settings, reader, shards)
            end = reader.end(NEIGHBOURS)
            audited = [_audited(reader, shard, shards) for shard in range(shards)]
    report = _report(audited, sum(max(0, end - progress.offset) for progress in audited))
    if json_:
        print_json(report)
    else:
        _print_table(report)


def _audited(reader: LagReader, shard: int, shards: int) -> AuditProgress:
    return AuditProgress.from_metadata(reader.checkpoint_metadata(index_consumer.group_of(shard, shards), FACES))


def _finish(settings: Settings, reader: LagReader, shards: int) -> None:
    """Wait until each shard has audited what is there now. Run the index of a shard that no consumer runs."""
    end = reader.end(NEIGHBOURS)
    stop = threading.Event()
    runs: dict[int, Future[None]] = {}
    with ThreadPoolExecutor(shards) as pool, progress_bar("auditing") as progress:
        bar = progress.add_task("auditing", total=end * shards)
        try:
            while True:
                offsets = [min(end, _audited(reader, shard, shards).offset) for shard in range(shards)]
                progress.update(bar, completed=sum(offsets))
                for shard in (shard for shard, offset in enumerate(offsets) if offset < end):
                    if shard in runs:
                        if runs[shard].done():
                            runs[shard].result()
                    elif not reader.has_members(index_consumer.group_of(shard, shards)):
                        runs[shard] = pool.submit(
                            index_consumer.run, settings, _MEMBER, stop, now, shard=shard, shards=shards
                        )
                if min(offsets) == end:
                    break
                time.sleep(_TICK_S)
        finally:
            stop.set()
    for run in runs.values():
        run.result()


def _report(audited: Sequence[AuditProgress], left: int) -> dict[str, Any]:
    pairs, found = sum(progress.pairs for progress in audited), sum(progress.found for progress in audited)
    return {
        "scans": sum(progress.scans for progress in audited),
        "records_left": left,
        "pairs": pairs,
        "found": found,
        "recall": found / pairs if pairs else 1.0,
        "mended": pairs - found,
        "said_again": sum(progress.republished for progress in audited),
    }


def _print_table(report: dict[str, Any]) -> None:
    counts = {
        "scans audited": report["scans"],
        "  records not audited yet": report["records_left"],
        "pairs of neighbours": report["pairs"],
        "  found at once": report["found"],
        "  mended": report["mended"],
        "scans republished": report["said_again"],
    }
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    print_values("Audit of the neighbours", [*rows, ("recall before the audit", f"{report['recall']:.6f}")])
