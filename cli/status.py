"""`facestream status`: what is in the catalogue, how far each consumer is, and which generations there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from catalogue import reader
from cli.archive import connected, open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, number, print_json, print_line, print_values
from errors import UserError
from local.services import client_file
from producers.folders import printable
from schemas.topics import Topic
from stream.standing import Standing, standing_reader

Watch = Annotated[bool, typer.Option("--watch", help="Show it again every second, with rates, until Ctrl-C.")]

_EVERY_S = 1.0


@dataclass(frozen=True)
class _State:
    """What there is at one moment."""

    standing: Standing
    counts: dict[str, int]


def status(data: Data = None, watch: Watch = False, json_: Json = False) -> None:
    """Counts of what is in the catalogue, and the lag of each consumer: records that it has not read yet."""
    settings = load_settings(data)
    if watch and json_:
        raise UserError("--watch is for a person, --json for a program: give one of them")
    subscribers = client_file(settings)
    with (
        open_archive(settings, "status") as running,
        standing_reader(running.kafka) as standing,
        connected(running.database) as connection,
    ):

        def ask() -> _State:
            return _State(standing(), asdict(reader.counts(connection)))

        if watch:
            _watch(ask)
            return
        state = ask()
    stages = state.standing.stages
    if json_:
        print_json(
            {
                **state.counts,
                "lag": {stage.name: stage.lag for stage in stages},
                "members": {stage.name: stage.members for stage in stages},
                "live": state.standing.generations.live,
                "waiting": [wait.model_dump() for wait in state.standing.waiting],
                "subscribers": str(subscribers) if subscribers else None,
                "breaks": [one.line for one in state.standing.breaks],
            }
        )
        return
    print_values("In the catalogue", [(name, f"{count:,}") for name, count in _named(state.counts)])
    table = Table("consumer", "reads", number("members"), number("records behind"), title="Lag")
    for stage in stages:
        table.add_row(stage.name, _reads(stage.topics), f"{stage.members:,}", f"{stage.lag:,}")
    console.print(table)
    for line in _lines(state.standing):
        print_line(line)
    if subscribers is not None:
        print_line(f"subscribers connect as {printable(subscribers)} says")


def _watch(ask: Callable[[], _State]) -> None:
    """Show the state again and again until Ctrl-C."""
    before, asked_at = ask(), time.monotonic()
    board = Live(_board(before, before, 1.0), console=console, screen=console.is_terminal)
    with board as live, suppress(KeyboardInterrupt):
        while True:
            time.sleep(_EVERY_S)
            state, now = ask(), time.monotonic()
            live.update(_board(state, before, now - asked_at))
            before, asked_at = state, now


def _board(state: _State, before: _State, seconds: float) -> Group:
    counts = Table("", number("in the catalogue"), number("a second"))
    for name, count in _named(state.counts):
        change = (count - before.counts[name.replace(" ", "_")]) / seconds
        counts.add_row(name, f"{count:,}", f"{change:+,.0f}" if change else "")
    lag = Table("consumer", "reads", number("members"), number("records behind"), number("read a second"))
    read = state.standing.read_since(before.standing)
    for stage in state.standing.stages:
        rate = read[stage.name] / seconds
        members = f"{stage.members:,}"
        lag.add_row(stage.name, _reads(stage.topics), members, f"{stage.lag:,}", f"{rate:,.0f}" if rate else "")
    known = state.standing.generations
    generations = Table("generation", "state")
    for name in known.names:
        generations.add_row(name, "live" if name == known.live else str(known.state(name)))
    return Group(counts, lag, generations, *_lines(state.standing), "Ctrl-C ends it")


def _named(counts: dict[str, int]) -> list[tuple[str, int]]:
    return [(name.replace("_", " "), count) for name, count in counts.items()]


def _reads(topics: Sequence[Topic]) -> str:
    return ", ".join(topic.name for topic in topics)


def _lines(standing: Standing) -> list[str]:
    waiting = [f"waiting: {wait.line}" for wait in standing.waiting]
    return [*waiting, *(f"not noticed yet by its consumer: {one.line}" for one in standing.breaks)]
