"""One measurement is a row. Rows are printed as a table with a plot, or as lines of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

import numpy as np
import plotille
from rich.console import Console
from rich.table import Table

Result = TypeVar("Result")

# Percentiles of a batch are of the last tenth of an insertion, for a batch costs more the more faces there are.
_LAST_SHARE = 10
_LAST_AT_LEAST = 100

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""What is plotted: by label, numbers of faces and the milliseconds that one more face took."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    faces_per_s: over all `faces`. p50_ms, p99_ms: of a batch, towards the end. recall: of pairs within eps_max.
    seconds: where one thing was done once. cores: processor time by clock time; well below what the step can use, it
    says that others had the processor. times_ours: how many times as long this took as the same did here.
    """

    what: str
    faces: int
    faces_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    bytes_per_face: float | None = None
    recall: float | None = None
    seconds: float | None = None
    cores: float | None = None
    times_ours: float | None = None


class Watch:
    """Times calls, by the clock and by the processor."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.times: list[float] = []
        self.processor = 0.0

    def time(self, call: Callable[..., Result], *given: object) -> Result:
        """Call it, and note how long it took."""
        processor, clock = time.process_time(), time.perf_counter()
        result = call(*given)
        self.times.append(time.perf_counter() - clock)
        self.processor += time.process_time() - processor
        return result

    def and_then(self, other: Watch) -> Watch:
        """Both, one after the other."""
        both = Watch()
        both.times = [one + another for one, another in zip(self.times, other.times, strict=True)]
        both.processor = self.processor + other.processor
        return both

    @property
    def seconds(self) -> float:
        """All calls together."""
        return sum(self.times)

    def row(self, what: str, faces: int, *, recall: float | None = None, times_ours: float | None = None) -> Row:
        """The measurement, of this many faces in all."""
        last = self.times[-max(len(self.times) // _LAST_SHARE, _LAST_AT_LEAST) :]
        p50, p99 = percentiles(last) if len(last) > 1 else (None, None)
        cores = self.processor / self.seconds
        once = self.seconds if len(last) == 1 else None
        return Row(what, faces, faces / self.seconds, p50, p99, None, recall, once, cores, times_ours)


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th, in milliseconds."""
    p50, p99 = (1000 * np.percentile(seconds, [50, 99])).tolist()
    return p50, p99


def print_json(rows: Iterable[Row]) -> None:
    """A line a row, as they come."""
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)


def print_table(rows: Iterable[Row], curves: Callable[[], Curves]) -> None:
    """All rows, and below them what one more face cost on the way (asked for when the rows are there)."""
    console, progress = Console(width=180), Console(stderr=True, style="dim")
    table = Table(*(field.name.replace("_", " ") for field in fields(Row)))
    table.columns[0].no_wrap = True
    for row in rows:
        progress.print(f"{row.what}, {row.faces:,} faces")
        cells = [f"{value:,.4g}" if isinstance(value, float) else value for value in asdict(row).values()]
        table.add_row(*("" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    console.print(table)
    if curves():
        _plot(curves())


def _plot(curves: Curves) -> None:
    figure = plotille.Figure()
    figure.width, figure.height = 75, 16
    figure.x_label, figure.y_label = "faces", "ms a face"
    figure.set_x_limits(min_=0)
    figure.set_y_limits(min_=0)
    figure.color_mode, figure.with_colors = "names", Console().is_terminal
    figure.register_label_formatter(float, lambda value, chars, **_: f"{value:,.4g}".ljust(chars))
    for (label, (faces, milliseconds)), colour in zip(curves.items(), ("cyan", "yellow", "magenta"), strict=False):
        figure.plot(faces, milliseconds, label=label, lc=colour)
    print(figure.show(legend=True))
