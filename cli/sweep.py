"""`facestream sweep`: the clustering at other eps, computed from the graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import plotille
import typer
from rich.table import Table

from cli.archive import open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, print_json
from clustering.clustering import Clustering
from clustering.what_if import hypothetical_clusters
from consumers.cluster import clustering_of, present_parameters
from errors import UserError


@dataclass(frozen=True)
class Row:
    """The clustering at one eps. Singletons are clusters of one face."""

    eps: float
    clusters: int
    singletons: int
    largest: int
    noise: int


def sweep(
    first: Annotated[float, typer.Option("--from", help="The first eps.")] = 0.3,
    last: Annotated[float | None, typer.Option("--to", help="The last eps.", show_default="eps_max")] = None,
    step: Annotated[float, typer.Option(help="Difference between one eps and the next.")] = 0.02,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Clusters, singletons and the largest cluster over a range of eps. Nothing is searched or changed."""
    settings = load_settings(data)
    end = settings.clustering.eps_max if last is None else last
    if not 0 < first <= end <= settings.clustering.eps_max:
        raise UserError(f"eps from {first} to {end}: give 0 < from <= to <= {settings.clustering.eps_max} (eps_max)")
    if step <= 0:
        raise UserError(f"--step {step}: give a number larger than 0")
    with open_archive(settings, "sweep", database=False) as running:
        clustering = clustering_of(running.kafka, present_parameters(running))
    try:
        rows = [row_at(clustering, float(eps)) for eps in np.arange(first, end + step / 2, step).round(6)]
    except ValueError as error:
        raise UserError(str(error)) from error
    if json_:
        for row in rows:
            print_json(row)
        return
    table = Table("eps", "clusters", "singletons", "largest", "noise")
    for row in rows:
        table.add_row(f"{row.eps:.3f}", *(f"{count:,}" for count in list(asdict(row).values())[1:]))
    console.print(table)
    plot(rows)


def row_at(clustering: Clustering, eps: float) -> Row:
    """One row of the sweep. Raises ValueError when eps is larger than eps_max."""
    partition = hypothetical_clusters(clustering, eps)
    sizes = list(partition.sizes().values())
    return Row(
        eps=eps,
        clusters=len(sizes),
        singletons=sizes.count(1),
        largest=max(sizes, default=0),
        noise=len(partition.face_ids) - sum(sizes),
    )


def plot(rows: list[Row]) -> None:
    """Clusters, singletons and the largest cluster against eps, as characters."""
    figure = plotille.Figure()
    figure.width, figure.height = min(console.width, 100) - 25, 16
    figure.x_label, figure.y_label = "eps", "faces or clusters"
    figure.set_y_limits(min_=0)
    figure.color_mode, figure.with_colors = "names", console.is_terminal
    figure.register_label_formatter(float, lambda value, chars, **_: f"{value:.2f}".ljust(chars))
    eps = [row.eps for row in rows]
    figure.plot(eps, [row.clusters for row in rows], label="clusters", lc="cyan")
    figure.plot(eps, [row.singletons for row in rows], label="singletons", lc="yellow")
    figure.plot(eps, [row.largest for row in rows], label="largest", lc="magenta")
    print(figure.show(legend=True))  # noqa: T201 - rich would escape the colours
