"""How often soft labels are right, compared with their probabilities: part of `python -m benchmarks.labelling`.

A set of known people (see benchmarks/quality.py) is clustered by the product's defaults, with a reference drawn from
the set itself. Some faces are named without mistakes, in several ways that each begin with no names. Each soft label
that follows is right or wrong. In a reliability diagram (Murphy and Winkler 1977) labels of about the same probability
are one point, which lies on the diagonal if as many of them are right as predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import plotille
from matplotlib import pyplot
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.archive import PUBLISHED_AT
from benchmarks.quality import Set, clustering_of, load, own_reference
from clustering.clustering import Clustering, DecisionDeleted
from schemas.decisions import FaceNamed
from settings import ClusteringSettings

# Finer at the upper end, where most labels are.
_EDGES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
# Of fewer labels the share that is right says too little to be drawn.
_ENOUGH = 20
# A label that is as sure as this is taken on trust.
_SURE = 0.99


@dataclass(frozen=True)
class SoftLabels:
    """The soft labels after one way of naming faces, of one set: their probabilities, and which are right.

    named, faces: the numbers of the named faces, and of those that have the soft labels.
    """

    set: str
    way: str
    named: npt.NDArray[np.int64]
    faces: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reliability:
    """One way of naming. brier: the mean square of (probability - 1 if right, 0 if wrong) (Brier 1950).

    if_certain: the same, had all labels the probability 1. calibration_error: how far predicted and right are apart in
    a bin, on average over the labels (expected calibration error, Naeini et al. 2015). sure: labels with a probability
    of at least 0.99; sure_wrong: the wrong ones of them.
    """

    set: str
    named: str
    names: int
    soft_labels: int
    wrong: int
    brier: float
    if_certain: float
    calibration_error: float
    sure: int
    sure_wrong: int


@dataclass(frozen=True)
class Bin:
    """The soft labels of a set with probabilities from `low` to `high`: their mean, and the share that is right."""

    set: str
    low: float
    high: float
    soft_labels: int
    predicted: float
    right: float


def clustered(path: Path, settings: ClusteringSettings, console: Console) -> tuple[Set, Clustering]:
    """A set and the clustering of it by these settings."""
    one = load(path)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(one.name)

        def advance(done: int, all_: int) -> None:
            progress.update(bar, completed=done, total=all_)

        reference = own_reference(one, progress, advance) if settings.distance == "calibrated" else None
        return one, clustering_of(one, settings, reference, advance)


def soft_labels(one: Set, clustering: Clustering) -> Iterator[SoftLabels]:
    """The soft labels after each way of naming. The clustering has no names before and after."""
    cluster_of = {it.face_id: it.cluster_id for it in clustering.assignments()}
    for way, faces in _ways(one, [cluster_of[face_id] for face_id in one.face_ids]).items():
        names = [_named(one, number) for number in faces]
        clustering.apply(names)
        found = {it.face_id: it.soft_label for it in clustering.assignments()}
        clustering.apply([DecisionDeleted(name.decision_id) for name in names])
        soft = [(number, label) for number, face_id in enumerate(one.face_ids) if (label := found[face_id])]
        yield SoftLabels(
            one.name,
            way,
            np.array(faces),
            np.array([number for number, _ in soft]),
            np.array([label.probability for _, label in soft]),
            np.array([label.label_id == str(one.people[number]) for number, label in soft], dtype=np.bool_),
        )


def reliability_of(labels: SoftLabels) -> Reliability:
    """The figures of one way of naming."""
    predicted, right = labels.probabilities, labels.right
    sure = predicted >= _SURE
    apart = [it.soft_labels * abs(it.predicted - it.right) for it in bins_of([labels])]
    return Reliability(
        labels.set,
        labels.way,
        len(labels.named),
        len(right),
        int((~right).sum()),
        brier=round(float(((predicted - right) ** 2).mean()), 4),
        if_certain=round(float((~right).mean()), 4),
        calibration_error=round(sum(apart) / len(right), 4),
        sure=int(sure.sum()),
        sure_wrong=int((sure & ~right).sum()),
    )


def bins_of(all_labels: Sequence[SoftLabels]) -> Iterator[Bin]:
    """The bins that hold labels, of all ways of naming of a set together."""
    predicted = np.concatenate([labels.probabilities for labels in all_labels])
    right = np.concatenate([labels.right for labels in all_labels])
    bin_of = np.minimum(np.searchsorted(_EDGES, predicted, side="right") - 1, len(_EDGES) - 2)
    for number in np.unique(bin_of).tolist():
        inside = bin_of == number
        yield Bin(
            all_labels[0].set,
            float(_EDGES[number]),
            float(_EDGES[number + 1]),
            int(inside.sum()),
            round(float(predicted[inside].mean()), 4),
            round(float(right[inside].mean()), 4),
        )


def show(rows: Sequence[Reliability], bins: Sequence[Bin], console: Console) -> None:
    """Print the tables and the diagram."""
    for kind in (rows, bins):
        table = Table(*(name.replace("_", " ") for name in type(kind[0]).__dataclass_fields__))
        for row in kind:
            table.add_row(*(f"{value:,}" if isinstance(value, int) else f"{value}" for value in asdict(row).values()))
        console.print(table)
    figure = plotille.Figure()
    figure.width, figure.height = 60, 20
    figure.x_label, figure.y_label = "predicted", "right"
    figure.set_x_limits(min_=0, max_=1)
    figure.set_y_limits(min_=0, max_=1)
    figure.color_mode, figure.with_colors = "names", console.is_terminal
    figure.register_label_formatter(float, lambda value, chars, **_: f"{value:,.4g}".ljust(chars))
    figure.plot([0, 1], [0, 1], lc="white", label="as predicted")
    for (name, points), colour in zip(_by_set(bins).items(), ("cyan", "yellow", "magenta", "green"), strict=False):
        x, y = [it.predicted for it in points], [it.right for it in points]
        figure.scatter(x, y, label=name, lc=colour, marker=name[-1])
    print(figure.show(legend=True))


def plot(bins: Sequence[Bin], path: Path) -> None:
    """Write the diagram as an image; the area of a point is the number of its labels."""
    matplotlib.use("Agg")
    figure, axes = pyplot.subplots(figsize=(4.4, 4.2), dpi=110)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, points in _by_set(bins).items():
        x, y = [it.predicted for it in points], [it.right for it in points]
        (line,) = axes.plot(x, y, label=name, linewidth=1)
        axes.scatter(x, y, [4 + it.soft_labels / 25 for it in points], color=line.get_color(), alpha=0.6)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="probability of the soft label", ylabel="share that is right")
    axes.legend(loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def _by_set(bins: Sequence[Bin]) -> Mapping[str, list[Bin]]:
    drawn = [it for it in bins if it.soft_labels >= _ENOUGH]
    return {name: [it for it in drawn if it.set == name] for name in dict.fromkeys(it.set for it in drawn)}


def _ways(one: Set, clusters: Sequence[str | None]) -> Mapping[str, list[int]]:
    """Which faces are named in each way, by their numbers."""
    chance = np.random.default_rng(0)
    order = chance.permutation(len(clusters)).tolist()
    sizes = {cluster: clusters.count(cluster) for cluster in set(clusters)}
    several = [number for number in range(len(clusters)) if clusters[number] and sizes[clusters[number]] > 1]
    # The cluster has the id of its oldest face.
    oldest = [number for number in several if one.face_ids[number] == clusters[number]]
    inside = set(several)
    some = {clusters[number]: number for number in order if number in inside}
    shares = {f"{share:.0%} of the faces": order[: int(share * len(order))] for share in (0.05, 0.2, 0.5)}
    return {"the oldest face of each cluster": oldest, "a random face of each cluster": list(some.values()), **shares}


def _named(one: Set, number: int) -> FaceNamed:
    person = str(one.people[number])
    return FaceNamed(
        decision_id=f"{number:06}",
        author="benchmark",
        decided_at=PUBLISHED_AT + timedelta(seconds=number),
        face_id=one.face_ids[number],
        label_id=person,
        name=person,
    )
