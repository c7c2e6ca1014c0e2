"""Rows of measurements, a stopwatch, and printing: a table with a plot, or lines of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

import numpy as np
import plotille
from rich.console import Console
from rich.table import Table

Result = TypeVar("Result")

# Percentiles are of the last tenth of the calls, because a batch costs more the more faces there are.
_LAST_SHARE = 10
_LAST_AT_LEAST = 100

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""By label: numbers of faces, and the milliseconds that one more face took then."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    faces_per_s: over all `faces`. p50_ms, p99_ms: of a batch, towards the end. recall: of pairs within eps_max.
    seconds: of something that was done once. cores: processor time divided by elapsed time; a number well below the
    cores that the step can use means that other processes used them. times_ours: elapsed time divided by that of
    Facestream for the same work. precision, and recall in the same row: of pairs of faces in one cluster. largest:
    faces of the largest cluster. neighbours: of a face, on average. assignments: how many are published for each new
    face, in the last tenth of the batches.
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
    precision: float | None = None
    largest: int | None = None
    neighbours: float | None = None
    assignments: float | None = None


class Stopwatch:
    """Elapsed time and processor time of calls, in seconds."""

    def __init__(self) -> None:
        """Start without a call."""
        self.times: list[float] = []
        self.processor = 0.0

    def time(self, call: Callable[..., Result], *arguments: object) -> Result:
        """Make a call, add its time, and return its result."""
        processor, clock = time.process_time(), time.perf_counter()
        result = call(*arguments)
        self.times.append(time.perf_counter() - clock)
        self.processor += time.process_time() - processor
        return result

    def combined(self, other: Stopwatch) -> Stopwatch:
        """As many calls, each of which does both: the times are added."""
        both = Stopwatch()
        both.times = [one + another for one, another in zip(self.times, other.times, strict=True)]
        both.processor = self.processor + other.processor
        return both

    @property
    def seconds(self) -> float:
        """Elapsed time of all calls together."""
        return sum(self.times)

    def row(self, what: str, faces: int, *, recall: float | None = None, times_ours: float | None = None) -> Row:
        """The measurement of all calls, which handled so many faces."""
        last = self.times[-max(len(self.times) // _LAST_SHARE, _LAST_AT_LEAST) :]
        p50, p99 = percentiles(last) if len(last) > 1 else (None, None)
        cores = self.processor / self.seconds
        once = self.seconds if len(last) == 1 else None
        return Row(what, faces, faces / self.seconds, p50, p99, None, recall, once, cores, times_ours)


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile, in milliseconds."""
    p50, p99 = (1000 * np.percentile(seconds, [50, 99])).tolist()
    return p50, p99


def peak_mib() -> float:
    """The most memory that this process had resident so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def print_json(rows: Iterable[Row]) -> None:
    """Print the rows as they arrive, one per line."""
    for row in rows:
        print(json.dumps(asdict(row)), flush=True)


def print_table(rows: Iterable[Row], curves: Callable[[], Curves]) -> None:
    """Print all rows, and below them the curves. `curves` is called after the last row."""
    console, progress = Console(width=180), Console(stderr=True, style="dim")
    cells: list[list[str]] = []
    for row in rows:
        progress.print(f"{row.what}, {row.faces:,} faces")
        cells.append([_cell(value) for value in asdict(row).values()])
    # Of a measure that no row has there is no column.
    columns = [number for number, values in enumerate(zip(*cells, strict=True)) if any(values)]
    table = Table(*(fields(Row)[number].name.replace("_", " ") for number in columns))
    table.columns[0].no_wrap = True
    for values in cells:
        table.add_row(*(values[number] for number in columns))
    console.print(table)
    if curves():
        _plot(curves())


def _cell(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else value or ""


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
