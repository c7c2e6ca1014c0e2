"""The consumers as child processes: started, restarted when they end, and stopped.

While a service that they need is away, those that end are not restarted: they would end again. Nor does an end count
that an outage may have caused.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import SecretStr

from errors import UserError
from local import child
from local.child import Child
from local.keeper import Keeper
from schemas.generations import FIRST
from settings import Settings
from stream import stages
from stream.generations import Generations, group_of
from stream.shards import group_of as shard_group_of
from stream.transform import TAKING_PART
from telemetry import metrics

log = structlog.get_logger()

CONSUMERS = ("detect", "index", "cluster", "catalogue")

# Those that may publish something before they read, such as what other settings change: a lag of 0 does not show that.
_PUBLISH_ON_START = ("index", "cluster")

# So often a consumer may end in a row, each time within so many seconds of its start and without having done anything.
_RESTARTS = 5
_SOON_S = 60.0
_STOP_S = 60.0


class Supervisor:
    """Runs the consumers as children of this process. A context manager, which stops them at its end."""

    def __init__(
        self,
        settings: Settings,
        keeper: Keeper | None = None,
        generations: Generations | None = None,
        consumers: Sequence[str] = CONSUMERS,
        shards: int = 1,
    ) -> None:
        """keeper: of the services that run here. generations: those that are followed from the beginning.

        consumers: those that run, beside the ones of generations. shards: of the index; each is a consumer.
        """
        self._environment = os.environ | as_environment(settings)
        self._metrics_port = settings.metrics.port
        self._logs = settings.data / "logs"
        self._keeper = keeper
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, int] = {}
        self._started_at: dict[str, float] = {}
        self._generations = generations or Generations()
        self._consumers = consumers
        self._shards = shards
        self._commands = self._commands_for(self._generations)
        self._given_up: set[str] = set()
        # Of the consumers of generations, as they came: each keeps the port of its metrics.
        self._of_generations: list[str] = []
        self._outages_before: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in self._commands:
            self._start(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # All are signalled first, so that they finish in parallel.
        for running in self._children.values():
            if running.process.poll() is None:
                running.process.send_signal(running.stop_signal)
        deadline = time.monotonic() + _STOP_S
        for running in self._children.values():
            running.stop(within=max(1.0, deadline - time.monotonic()))

    @property
    def processes(self) -> dict[str, int]:
        """The process id of each consumer."""
        return {name: running.process.pid for name, running in self._children.items()}

    @property
    def given_up(self) -> frozenset[str]:
        """The consumers of generations that ended again and again: nobody takes what they lag behind."""
        return frozenset(self._given_up)

    @property
    def starting(self) -> tuple[str, ...]:
        """The consumers that may still publish something before they read the next record."""
        publishing = (name for name in self._children if self._commands[name][0] in _PUBLISH_ON_START)
        return tuple(name for name in publishing if not self._children[name].has_logged(TAKING_PART))

    def follow(self, generations: Generations) -> None:
        """Run the consumers of these generations, and of no others: start those that lack, stop those that are left."""
        self._generations = generations
        self._commands = self._commands_for(generations)
        self._given_up = (self._given_up - self._needed) & self._commands.keys()
        for name in sorted(self._children.keys() - self._commands.keys()):
            self._children.pop(name).stop(within=_STOP_S)
            log.info("stopped", consumer=name)
        for name in [name for name in self._commands if name not in self._children.keys() | self._given_up]:
            self._start(name)

    def check(self) -> None:
        """Restart consumers that have ended.

        One of a generation that is not live is given up when it ends again and again: the others go on. Raises
        FacestreamError when another one does, or a service was given up.
        """
        if self._keeper is not None:
            self._keeper.check()
            if not self._keeper.is_up:
                return
        for name, running in list(self._children.items()):
            code = running.process.poll()
            if code is None:
                continue
            if self._outages == self._outages_before[name]:
                # By how long it ran, not by when it ended: a start may take long on a busy machine.
                soon = time.monotonic() - self._started_at[name] < _SOON_S
                restarts = self._restarts.get(name, 0) if soon else 0
                if restarts == _RESTARTS:
                    reason = f"{running.last_error} (its log is {running.log})"
                    line = f"{name} ends again and again (exit code {code}): {reason}"
                    if name in self._needed:
                        raise UserError(line)
                    log.warning(f"given up until the next start: {line}")
                    self._given_up.add(name)
                    del self._children[name]
                    continue
                self._restarts[name] = restarts + 1
            log.warning("restarted", consumer=name, exit_code=code)
            metrics.consumer_restarts.labels(name).inc()
            self._start(name)

    def progressed(self, name: str) -> None:
        """A consumer has done something: it does more than end again and again."""
        self._restarts.pop(name, None)

    @property
    def _needed(self) -> set[str]:
        """The consumers without which subscribers would have nothing new."""
        live = self._generations.live
        of_live = {group_of(name, live) for name in stages.STAGES}
        return {*CONSUMERS} - {stages.CLUSTER} | of_live

    def _commands_for(self, generations: Generations) -> dict[str, list[str]]:
        left_out = {*CONSUMERS} - {*self._consumers}
        commands = _commands(generations, self._shards)
        return {name: command for name, command in commands.items() if name not in left_out}

    def _place(self, name: str) -> int:
        """From 0: those of the archive, in their order, and after them those of generations, as they came."""
        if name in CONSUMERS:
            return CONSUMERS.index(name)
        if name not in self._of_generations:
            self._of_generations.append(name)
        return len(CONSUMERS) + self._of_generations.index(name)

    @property
    def _outages(self) -> int:
        return self._keeper.restarts if self._keeper else 0

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "cli.main", *self._commands[name], "--member", "0"]
        environment = dict(self._environment)
        if self._metrics_port:
            environment["FACESTREAM_METRICS__PORT"] = str(self._metrics_port + 1 + self._place(name))
        self._outages_before[name] = self._outages
        self._started_at[name] = time.monotonic()
        self._children[name] = child.start(
            name, command, folder=Path.cwd(), log=self._logs / f"{name}.log", environment=environment
        )


def _commands(generations: Generations, shards: int) -> dict[str, list[str]]:
    """The arguments of `facestream` by consumer, where these generations are followed."""
    followed = generations.followed
    commands = {name: [name] for name in CONSUMERS if name != stages.CLUSTER or FIRST in followed}
    if shards > 1:
        del commands[stages.INDEX]
        commands |= {
            shard_group_of(number, shards): [stages.INDEX, "--shard", f"{number}/{shards}"] for number in range(shards)
        }
    for generation in followed:
        if generation != FIRST:
            for name in stages.consumers_of(generations.neighbours(generation), generations.faces(generation)):
                commands[group_of(name, generation)] = [name, "--generation", generation]
    return commands


def as_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that yield the same settings."""
    variables: dict[str, str] = {}

    def add(name: str, value: Any) -> None:  # noqa: ANN401
        if isinstance(value, Mapping):
            for field_name, field_value in value.items():
                add(f"{name}__{field_name.upper()}", field_value)
        elif isinstance(value, list | tuple):
            variables[name] = json.dumps(value, default=str)
        elif isinstance(value, SecretStr):
            variables[name] = value.get_secret_value()
        elif value is not None:
            variables[name] = str(value)

    for group, value in settings.model_dump().items():
        add(f"FACESTREAM_{group.upper()}", value)
    return variables
