"""`facestream sweep`: the clustering at other eps, computed from the graph."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from cli.archive import open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.plots import print_plot
from cli.printing import console, print_json
from clustering.clustering import Clustering
from clustering.what_if import hypothetical_clusters
from consumers.generation_clustering import live_clustering, live_settings
from consumers.same_distance import refuse_other_distance
from errors import UserError

_MOST_STEPS = 10_000


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
    with open_archive(settings, "sweep", database=False) as running:
        all_eps = eps_range(first, last, step, live_settings(running).clustering.eps_max)
        refuse_other_distance(running)
        clustering = live_clustering(running)
    try:
        rows = [row_at(clustering, eps) for eps in all_eps]
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


def eps_range(first: float, last: float | None, step: float, eps_max: float) -> list[float]:
    """The eps from `first` to `last`, or to eps_max, in steps. Raises UserError."""
    end = eps_max if last is None else last
    if not 0 < first <= end <= eps_max:
        raise UserError(f"eps from {first} to {end}: give 0 < from <= to <= {eps_max} (eps_max)")
    if not 0 < step < math.inf or (end - first) / step > _MOST_STEPS:
        raise UserError(f"--step {step}: give a number larger than 0, with at most {_MOST_STEPS:,} steps")
    # Not beyond the end, where no edges are.
    return [min(round(eps, 6), end) for eps in np.arange(first, end + step / 2, step).tolist()]


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
    names = ("clusters", "singletons", "largest")
    curves = {name: [getattr(row, name) for row in rows] for name in names}
    print_plot([row.eps for row in rows], curves, "faces or clusters")
