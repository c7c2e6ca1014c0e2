"""`facestream audit`: the recall of the search for neighbours, and what an exact search added afterwards."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.generation_consumers import run_index
from cli.logs import log_to_stderr
from cli.options import Data, Json
from cli.printing import print_json, print_line, print_values
from cli.progress import progress_bar
from consumers import index as index_consumer
from consumers.audit import AuditProgress
from errors import UserError
from producers.topic_index import Remembered, TopicIndex
from schemas.faces import ScanAnalysed
from schemas.neighbours import NeighboursFound, neighbours_key
from schemas.topics import FACES, NEIGHBOURS, Topic
from settings import KafkaSettings, Settings
from stream.generations import group_of, read_generations
from stream.lag import LagReader, lag_reader
from stream.reading import end_of
from stream.shards import group_of as shard_group_of
from stream.shards import shards_known
from stream.stages import INDEX, stages_with

_MEMBER = "audit"
_TICK_S = 0.5


@dataclass(frozen=True)
class _Index:
    """An index: the consumer group of each shard, what it reads and publishes, and what runs a shard until an event."""

    groups: Sequence[str]
    faces: Topic
    neighbours: Topic
    run: Callable[[Settings, int, threading.Event], None]


def audit(
    all_: Annotated[bool, typer.Option("--all", help="Wait until everything that is there now is audited.")] = False,
    generation: Annotated[
        str | None,
        typer.Option(
            help="The index of a generation that has its own: built with `replay --topic faces`.",
            show_default="the index of all others",
        ),
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Recall of the search for neighbours, and what was mended. The index consumer audits when it is idle.

    Where it never is, a twentieth of its time is for that.

    With --all this waits for the index consumer; if none is running, it runs in this process until the end. Then it
    counts the scans that have no record of neighbours at all, which an audit of the records cannot notice.
    """
    log_to_stderr(logging.WARNING)
    with open_archive(load_settings(data), "audit", database=False) as settings:
        index = _index(settings.kafka) if generation is None else _index_of(settings.kafka, generation)
        with lag_reader(settings.kafka) as reader:
            if all_:
                _finish(settings, reader, index)
            end = _end(settings, index)
            audited = [_audited(reader, index, group) for group in index.groups]
            missing = _missing(settings, reader, index) if all_ else None
    report = _report(audited, sum(max(0, end - progress.offset) for progress in audited), missing)
    if json_:
        print_json(report)
    else:
        _print_table(report, generation)


def _index(kafka: KafkaSettings) -> _Index:
    """That of all generations which have none of their own."""
    # Before anything is indexed, one shard is expected.
    shards = shards_known(kafka) or 1

    def run(settings: Settings, shard: int, stop: threading.Event) -> None:
        index_consumer.run(settings, _MEMBER, stop, now, shard=shard, shards=shards)

    return _Index([shard_group_of(shard, shards) for shard in range(shards)], FACES, NEIGHBOURS, run)


def _index_of(kafka: KafkaSettings, generation: str) -> _Index:
    """That of a generation. Raises UserError where it has none."""
    known = read_generations(kafka)
    group = group_of(INDEX, generation)
    neighbours, stages = known.neighbours(generation), stages_with(known)
    if neighbours == NEIGHBOURS or group not in stages:
        raise UserError(f"there is no generation {generation} that is built and has an index of its own")

    def run(settings: Settings, _shard: int, stop: threading.Event) -> None:
        run_index(settings, _MEMBER, stop, now, generation=generation, max_rate=None)

    (faces,) = stages[group]
    return _Index([group], faces, neighbours, run)


def _audited(reader: LagReader, index: _Index, group: str) -> AuditProgress:
    return AuditProgress.from_metadata(reader.checkpoint_metadata(group, index.faces))


def _end(settings: Settings, index: _Index) -> int:
    """The end of `neighbours`, which has one partition."""
    (end,) = end_of(settings.kafka, index.neighbours).values()
    return end


def _finish(settings: Settings, reader: LagReader, index: _Index) -> None:
    """Wait until each shard has audited what is there now. Run the index of a shard that no consumer runs."""
    end = _end(settings, index)
    stop = threading.Event()
    runs: dict[str, Future[None]] = {}
    with ThreadPoolExecutor(len(index.groups)) as pool, progress_bar("auditing") as progress:
        bar = progress.add_task("auditing", total=end * len(index.groups))
        try:
            while True:
                offsets = [min(end, _audited(reader, index, group).offset) for group in index.groups]
                progress.update(bar, completed=sum(offsets))
                for shard, group in enumerate(index.groups):
                    if offsets[shard] == end:
                        continue
                    if group in runs:
                        if runs[group].done():
                            runs[group].result()
                    elif not reader.has_members(group):
                        runs[group] = pool.submit(index.run, settings, shard, stop)
                if min(offsets) == end:
                    break
                time.sleep(_TICK_S)
        finally:
            stop.set()
    for run in runs.values():
        run.result()


def _missing(settings: Settings, reader: LagReader, index: _Index) -> int:
    """How many live analyses have no record in `neighbours`, of all shards.

    Only those that the index has read. It commits its outputs with its offsets, so what comes later does not count.
    """
    read = [reader.position(group, index.faces) for group in index.groups]
    remembered = Remembered(NeighboursFound, {"analysis": lambda record: str(record.analysis)})
    with (
        TopicIndex(settings.kafka, index.faces, Remembered(ScanAnalysed, {}), settings.data) as analyses,
        TopicIndex(settings.kafka, index.neighbours, remembered, settings.data) as records,
    ):
        return sum(
            records.rows("key = ? AND analysis = ?", neighbours_key(scan_id, shard), str(analysis)) == []
            for scan_id, analysis in analyses.offsets()
            for shard in range(len(index.groups))
            if analysis < read[shard]
        )


def _report(audited: Sequence[AuditProgress], left: int, missing: int | None) -> dict[str, Any]:
    pairs, found = sum(progress.pairs for progress in audited), sum(progress.found for progress in audited)
    return {
        "scans": sum(progress.scans for progress in audited),
        "records_left": left,
        "pairs": pairs,
        "found": found,
        "recall": found / pairs if pairs else 1.0,
        "mended": pairs - found,
        "said_again": sum(progress.republished for progress in audited),
        "without_record": missing,
    }


def _print_table(report: dict[str, Any], generation: str | None) -> None:
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
    if report["without_record"]:
        of = "" if generation is None else f" --generation {generation}"
        print_line(
            f"scans without any record of neighbours: {report['without_record']:,}; stop the index consumer, then: "
            f"facestream index{of} --repair"
        )
