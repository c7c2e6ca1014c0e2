"""Curves against eps: as characters in the terminal, and as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import plotille

from cli.printing import console
from errors import UserError
from producers.folders import printable

_COLOURS = ("cyan", "yellow", "magenta", "green", "blue")

Curves = Mapping[str, Sequence[float]]
"""Values by label, one for each eps."""


def print_plot(eps: Sequence[float], curves: Curves, y_label: str, *, highest: float | None = None) -> None:
    """Print the curves, at most 75 characters wide, from 0 to `highest`, or as high as they are."""
    figure = plotille.Figure()
    figure.width, figure.height = min(console.width, 100) - 25, 16
    figure.x_label, figure.y_label = "eps", y_label
    figure.set_y_limits(min_=0, max_=highest)
    figure.color_mode, figure.with_colors = "names", console.is_terminal
    figure.register_label_formatter(float, lambda value, chars, **_: f"{value:.2f}".ljust(chars))
    for (label, values), colour in zip(curves.items(), _COLOURS, strict=False):
        figure.plot(eps, values, label=label, lc=colour)
    print(figure.show(legend=True))  # noqa: T201 - rich would escape the colours


def write_png(path: Path, eps: Sequence[float], curves: Curves, marks: Mapping[str, float], title: str) -> None:
    """Write the curves, with a vertical line at each of the `marks`, by name. Raises UserError."""
    # Imported here: it takes half a second, and most calls write no picture.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for label, values in curves.items():
        axes.plot(eps, values, marker=".", label=label)
    for number, (name, at) in enumerate(marks.items()):
        axes.axvline(at, linestyle="--", linewidth=1, color=f"C{len(curves) + number}", label=f"{name}: {at:g}")
    axes.set(xlabel="eps", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be written: {error.strerror or error}") from error
