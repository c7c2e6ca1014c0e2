"""An archive moves to another embedder: all scans are analysed again with it, then everything else goes over at once.

While detect analyses, no other consumer runs, so the clusters stay as they are. Then the index compares the new
embeddings, all of them, and the clusterer publishes what differs. Interrupted anywhere, the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cli.archive import kafka_errors_in_one_line
from cli.common import now
from cli.printing import stderr
from cli.progress import progress_bar
from cli.supervisor import Supervisor
from cli.system import system
from consumers.references import space_of_settings
from errors import UserError
from local.services import kept_services
from models.analyse import EngineParameters, load_engine
from producers.reanalyse import chosen_scans, publish_again
from schemas.generations import FIRST
from settings import KafkaSettings, Settings
from stream import waits
from stream.generations import read_generations
from stream.groups import left_after
from stream.lag import LagReader, lag_reader
from stream.stages import DETECT, STAGES, stages_with
from stream.topics import ensure_topics

_COMMAND = "reanalyse"
_TICK_S = 0.5
# Longer than the broker waits for a member that has gone.
_MEMBERS_GONE_S = 90.0


def move(settings: Settings) -> tuple[int, int]:
    """Move the archive to the embedder of these settings: scans published again, and those left out meanwhile.

    Returns when all is done. Raises UserError where consumers are running, WeightsError and EngineError where the
    networks cannot be used, and what the supervisor raises.
    """
    # Before anything is published: whether the networks can be loaded and fit each other.
    load_engine(EngineParameters(**settings.models.model_dump(exclude={"processes", "decode_deadline_s"})))
    with (
        kept_services(settings, exclusive=True, command=_COMMAND, report=_report) as opened,
        kafka_errors_in_one_line(opened.settings.kafka),
    ):
        for line in ensure_topics(opened.settings.kafka):
            _report(line)
        _check_live(opened.settings.kafka)
        if settings.kafka.bootstrap_servers is not None:
            # Of an embedded broker, which nobody else has now, the groups may still list members that have ended.
            _await_that_no_consumer_runs(opened.settings.kafka)
        published, left_out = _publish(opened.settings)
        with Supervisor(opened.settings, opened.keeper, consumers=(DETECT,)) as supervisor:
            _await_analyses(opened.settings.kafka, supervisor.check)
    with system(settings, _COMMAND) as running:
        running.wait_until_done()
        running.end_progress()
        if running.stop.is_set():
            raise UserError("stopped before the archive has moved: do the same again to go on")
    return published, left_out


def _check_live(kafka: KafkaSettings) -> None:
    """Raise UserError where a generation is live that keeps the thresholds of the former embedder."""
    live = read_generations(kafka).live
    if live != FIRST:
        raise UserError(
            f"the generation {live} is live, which keeps what it was built with: make {FIRST} live before (facestream "
            f"promote {FIRST}), or build one with the other embedder beside it (facestream replay --topic scans)"
        )


def _publish(settings: Settings) -> tuple[int, int]:
    """Publish the scans that are not analysed with the embedder yet."""
    embedder = space_of_settings(settings).embedder
    chosen = chosen_scans(settings.kafka, folder=settings.data)
    again = publish_again(settings.kafka, chosen, now, settings.data, analysed_otherwise=embedder)
    with progress_bar("publishing") as progress:
        published = sum(1 for _ in progress.track(again, total=len(chosen.scans)))
    return published, len(chosen.scans) - published


def _await_that_no_consumer_runs(kafka: KafkaSettings) -> None:
    """A member that ended is one for a while. Raises UserError where some are there for longer."""

    def waiting(running: list[str]) -> None:
        _report(f"waiting until no consumer runs, or counts as running: {', '.join(running)}")

    if running := left_after(kafka, list(stages_with(read_generations(kafka))), _MEMBERS_GONE_S, waiting):
        raise UserError(f"running: {', '.join(running)}; stop all consumers, then do the same again")


def _await_analyses(kafka: KafkaSettings, check: Callable[[], None]) -> None:
    """Wait until detect has nothing left to analyse. Stores that it waits for are named."""
    shown: set[str] = set()
    with lag_reader(kafka) as reader, progress_bar("analysing") as progress:
        bar = progress.add_task("analysing", total=None)
        most = 0
        while lag := _lag(reader):
            most = max(most, lag)
            progress.update(bar, total=most, completed=most - lag)
            for one in waits.waiting(reader, [DETECT]):
                if one.line not in shown:
                    shown.add(one.line)
                    _report(f"waiting: {one.line}")
            check()
            time.sleep(_TICK_S)


def _lag(reader: LagReader) -> int:
    return reader.progress({DETECT: STAGES[DETECT]})[DETECT].lag


def _report(line: str) -> None:
    stderr.print(line, soft_wrap=True)
