"""Where the constants of clustering/certainty.py come from: `python -m benchmarks.certainty_curve SET.npz SET.npz`.

For each set, and for all together, it looks for the curve that predicts best which soft labels are right: the least
mean logarithmic loss over the ways of naming of benchmarks/reliability.py. Each curve is then tried on every set. How
much a curve of other photographs costs shows how far one curve may serve archives that nobody has labelled.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.sparse import coo_array, csr_array

from benchmarks.quality import Set
from benchmarks.reliability import SoftLabels, clustered, soft_labels
from clustering.certainty import CALIBRATED, EUCLIDEAN, Curve, along_best_paths, edge_probabilities
from clustering.clustering import Clustering
from settings import ClusteringSettings

_NO_LINKS = np.empty((0, 2), dtype=np.int64)
_WIDEST = 0.2


@dataclass(frozen=True)
class Cases:
    """The soft labels of a set, with the share of each that does not depend on the curve, and the graph."""

    name: str
    distances: csr_array
    labels: list[tuple[SoftLabels, npt.NDArray[np.float64]]]

    @classmethod
    def of(cls, one: Set, clustering: Clustering) -> Cases:
        """Name faces in all ways. A probability is that of the best path times a share of propagation."""
        distances = _distances(one, clustering)
        now = EUCLIDEAN if clustering.parameters.reference is None else CALIBRATED
        cases = cls(one.name, distances, [])
        for labels in soft_labels(one, clustering):
            cases.labels.append((labels, labels.probabilities / cases._certainty(now, labels)))
        return cases

    def loss(self, curve: Curve) -> float:
        """The mean over the ways of naming of the mean logarithmic loss."""
        return float(np.mean([_loss(share * self._certainty(curve, it), it.right) for it, share in self.labels]))

    def _certainty(self, curve: Curve, labels: SoftLabels) -> npt.NDArray[np.float64]:
        edges = edge_probabilities(self.distances, _NO_LINKS, curve)
        nobody = np.zeros(edges.shape[0], dtype=np.bool_)
        return along_best_paths(edges, labels.named, nobody)[labels.faces]


def _distances(one: Set, clustering: Clustering) -> csr_array:
    """The distances of neighbours, by the numbers of the faces in the set: shape (n, n)."""
    graph, number_of = clustering.graph, {face_id: number for number, face_id in enumerate(one.face_ids)}
    owners, edges, others = graph.neighbours(clustering.live_nodes())
    numbers = np.array([number_of.get(face_id, -1) for face_id in graph.nodes.face_id[: graph.nodes.used].tolist()])
    where = (numbers[owners], numbers[others])
    return csr_array(coo_array((graph.edges.distance[edges], where), (len(one.face_ids),) * 2))


def _loss(probabilities: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    chosen = np.where(right, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(chosen, 1e-4, 1)).mean())


def fitted(all_cases: Sequence[Cases], start: Curve) -> Curve:
    """The curve with the least loss on these sets, each as important as the others."""

    def loss(values: npt.NDArray[np.float64]) -> float:
        curve = Curve(float(values[0]), float(values[1]))
        return float(np.mean([cases.loss(curve) for cases in all_cases])) if 0 < curve.width < _WIDEST else np.inf

    found = minimize(loss, [start.middle, start.width], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-5})
    return Curve(*(round(float(value), 4) for value in found.x))


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.certainty_curve", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("embeddings", type=Path, nargs="+", help="sets of known people, as benchmarks/quality.py reads")
    parser.add_argument("--euclidean", type=float, metavar="EPS", help="by Euclidean distance up to this eps instead")
    arguments = parser.parse_args()
    settings, start = ClusteringSettings(), CALIBRATED
    if arguments.euclidean is not None:
        settings = ClusteringSettings.model_validate({"distance": "euclidean", "eps": arguments.euclidean})
        start = EUCLIDEAN
    console = Console(width=130)
    sets = [Cases.of(*clustered(path, settings, console)) for path in arguments.embeddings]
    table = Table("fitted on", "middle", "width", *(f"loss on {cases.name}" for cases in sets))
    curves = {cases.name: fitted([cases], start) for cases in sets}
    curves |= {"all": fitted(sets, start), "in use": start}
    for name, curve in curves.items():
        losses = (f"{cases.loss(curve):.4f}" for cases in sets)
        table.add_row(name, f"{curve.middle:.4f}", f"{curve.width:.4f}", *losses)
    console.print(table)


if __name__ == "__main__":
    main()
