"""Building a generation: its consumers as processes of this one, until they have caught up."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.progress import Progress, TextColumn

from cli import signals
from cli.printing import stderr
from cli.progress import ProgressLines, progress_bar
from cli.supervisor import as_environment
from errors import UserError
from local import child
from local.child import Child
from schemas.topics import FACES, NEIGHBOURS, Topic
from settings import Settings
from stream import waits
from stream.caught_up import CaughtUp
from stream.generations import group_of, topics_of
from stream.lag import LagReader, lag_reader
from stream.stages import consumers_of, stages_of
from stream.topics import ensure_topics
from stream.transform import TAKING_PART

_TICK_S = 0.5
_STOP_S = 60.0


def build(settings: Settings, generation: str, neighbours: Topic, faces: Topic, max_rate: float | None) -> None:
    """Run its consumers until they have caught up, and stop them.

    neighbours, faces: what its clusterer and its index read. Raises UserError where one ends, or this is stopped.
    """
    stages = stages_of(generation, neighbours, faces)
    own = [topic for topic in (neighbours, faces) if topic not in (NEIGHBOURS, FACES)]
    ensure_topics(settings.kafka, (*topics_of(generation), *own))
    with ExitStack() as stack:
        stop = threading.Event()
        stack.enter_context(signals.setting(stop))
        # Whoever reads the log first is held back.
        names = consumers_of(neighbours, faces)
        rates = [max_rate, *[None] * len(names)]
        children = [_start(stack, settings, generation, name, rate) for name, rate in zip(names, rates, strict=False)]
        # What these publish at their start is no lag.
        publishing = children[:-1]
        lags = stack.enter_context(lag_reader(settings.kafka))
        progress = stack.enter_context(
            progress_bar(f"{generation}: scans", TextColumn("{task.fields[rate]}  {task.fields[left]}"))
        )
        shown = _Shown(lags, generation, stages, progress)
        caught_up = CaughtUp(lags, stages)
        while not stop.wait(_TICK_S):
            for one in children:
                if one.process.poll() is not None:
                    raise UserError(
                        f"{one.name} {one.how_it_ended}: {one.last_error} (its log is {one.log}); "
                        "the same command goes on where it was"
                    )
            shown.update()
            if all(one.has_logged(TAKING_PART) for one in publishing) and caught_up.is_so():
                return
        raise UserError(f"stopped: facestream replay --into {generation} goes on where it was")


class _Shown:
    """The progress: records that the first consumer is done with, how many a second, and the time left."""

    def __init__(
        self, lags: LagReader, generation: str, stages: Mapping[str, Sequence[Topic]], progress: Progress
    ) -> None:
        self._lags = lags
        self._stages = stages
        self._group, (self._log, *_) = next(iter(stages.items()))
        self._waits: set[str] = set()
        self._progress = progress
        self._lines = ProgressLines()
        self._generation = generation
        self._bar = progress.add_task(generation, total=None, rate="", left="")
        self._began = time.monotonic()
        self._first = self._position()

    def update(self) -> None:
        """Show it."""
        done, (total,) = self._position(), self._lags.ends([self._log]).values()
        lags = self._lags.lags(self._stages)
        seconds = time.monotonic() - self._began
        rate = (done - self._first) / seconds if seconds > 1 else 0.0
        left_s = (total - done) / rate if rate > 0 else None
        left = "" if left_s is None else f"{left_s // 60:.0f}:{left_s % 60:02.0f} left"
        self._progress.update(self._bar, total=total, completed=done, rate=f"{rate:,.0f}/s", left=left)
        waiting = "".join(f", waiting: {name} {lag:,}" for name, lag in lags.items() if lag)
        self._lines.update(f"{self._generation}: {done:,} of {total:,} scans, {rate:,.0f}/s {left}{waiting}")
        self._show_waits()

    def _show_waits(self) -> None:
        """The stores that scans wait for, each reason once."""
        for one in waits.waiting(self._lags, [self._group]):
            if one.line not in self._waits:
                self._waits.add(one.line)
                stderr.print(f"waiting: {one.line}", soft_wrap=True)

    def _position(self) -> int:
        return self._lags.position(self._group, self._log)


def _start(stack: ExitStack, settings: Settings, generation: str, consumer: str, max_rate: float | None) -> Child:
    logs = settings.data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # The member's name is that of the supervisor's: what takes over, here or there, need not wait for the other.
    options = ["--generation", generation, "--member", "0"]
    if max_rate is not None:
        options += ["--max-rate", str(max_rate)]
    name = group_of(consumer, generation)
    command = [sys.executable, "-m", "cli.main", consumer, *options]
    environment = os.environ | as_environment(settings)
    if settings.metrics.port is not None:
        # That one is of a process that stays, such as the container's; and each child needs its own.
        environment["FACESTREAM_METRICS__PORT"] = "0"
    started = child.start(name, command, folder=Path.cwd(), log=logs / f"{name}.log", environment=environment)
    stack.callback(lambda: started.stop(within=_STOP_S))
    return started
