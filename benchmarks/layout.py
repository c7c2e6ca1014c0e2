"""What the layout of a graph saves: `python -m benchmarks.layout --faces 100000 SET.npz…`.

Of each set of real embeddings: how many numbers the point of a face has (index/layout.py), what share of the variance
they hold, and how far apart two points are beside the two faces. Then a graph of an archive's faces, as the product has
it, with points that are not set back, and of whole faces: how fast it is built and searched, how many candidates a
search has, and the recall of pairs within eps_max.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial.distance import pdist

from benchmarks.archive import DEFAULT_WORLD, Archive
from benchmarks.measurement import Row, Stopwatch, print_json, print_table
from benchmarks.parameters import by_default
from benchmarks.world import WORLDS
from calibration.reference import calibrated
from index import exact
from index.hnsw import Hnsw
from index.layout import Layout
from index.store import Store
from schemas.faces import EMBEDDING_DIMENSIONS

_AT_ONCE, _QUERIES, _COMPARED = 2_048, 4_096, 1_000
# All numbers but two, of which the length is there: so that there are 128 still, which hnswlib computes fastest.
_WHOLE = Layout(np.zeros(EMBEDDING_DIMENSIONS), np.eye(EMBEDDING_DIMENSIONS)[:-2], 0.0)


def of_sets(paths: list[Path]) -> Table:
    """A row for each set of embeddings."""
    table = Table("set", "faces", "numbers", "of a point", "share of the variance", "distances: 1 %", "median")
    for path in paths:
        with np.load(path) as content:
            faces = content["E"].astype(np.float32)
        layout = Layout.of(faces, np.empty(0))
        points = layout.points(faces)
        held = points[:, :-2].var(axis=0).sum() / faces.var(axis=0).sum()
        chosen = np.random.default_rng(0).permutation(len(faces))[:_COMPARED]
        low, median = np.percentile(pdist(points[chosen]) / pdist(faces[chosen]), [1, 50])
        numbers = (f"{it:,}" for it in (len(faces), faces.shape[1], layout.dimension))
        table.add_row(path.stem, *numbers, f"{held:.3f}", f"{low:.3f}", f"{median:.3f}")
    return table


class Comparison:
    """The faces of an archive, and which of a sample's pairs are within eps_max."""

    def __init__(self, faces: int, world: str) -> None:
        """Draw the archive, and compare the sample with all."""
        archive = Archive(faces, world=world)
        self._parameters = by_default(archive).index
        vectors = np.concatenate(
            [archive.vectors(start, min(start + _AT_ONCE, faces)) for start in range(0, faces, _AT_ONCE)]
        )
        self._store = Store(self._parameters.reference, faces)
        self._store.put(vectors, [str(number) for number in range(faces)], range(faces))
        self._vectors, self._offsets = self._store.vectors, self._store.offsets
        self._limits = self._parameters.limits(self._offsets)
        self._chosen = np.random.default_rng(1).choice(faces, min(_QUERIES, faces), replace=False)
        self._queries = self._vectors[self._chosen]
        self._pairs = self._near(*exact.candidates(self._queries, self._vectors, self._limits[self._chosen]))

    def rows(self) -> Iterator[Row]:
        """A graph in the product's layout, one with nobody set back, and one of whole faces."""
        layout = self._store.layout(self._parameters)
        layouts = {"as it is": layout, "not set back": replace(layout, nearest_limit=0.0), "whole": _WHOLE}
        seconds: list[tuple[float, float]] = []
        for name, it in layouts.items():
            graph = Hnsw(self._parameters, it, capacity=len(self._vectors))
            built, searched = Stopwatch(), Stopwatch()
            for start in range(0, len(self._vectors), _AT_ONCE):
                block = slice(start, start + _AT_ONCE)
                slots = np.arange(start, start + len(self._vectors[block]))
                built.time(graph.add, self._vectors[block], self._offsets[block], slots)
            rows, slots, _ = searched.time(graph.candidates, self._queries, self._limits[self._chosen])
            recall = len(self._near(rows, slots) & self._pairs) / len(self._pairs)
            seconds.append((built.seconds, searched.seconds))
            times = [now / ours for now, ours in zip(seconds[-1], seconds[0], strict=True)]
            yield built.row(f"{name}, {it.dimension} numbers: built", len(self._vectors), times_ours=times[0])
            what = f"{name}: searched, {len(rows) / len(self._queries):.1f} candidates a face"
            row = searched.row(what, len(self._queries), recall=recall, times_ours=times[1])
            yield replace(row, neighbours=len(self._pairs) / len(self._queries))

    def _near(self, rows: np.ndarray, slots: np.ndarray) -> set[tuple[int, int]]:
        distances = exact.distances(self._queries, rows, self._vectors, slots)
        distances = calibrated(distances, self._offsets[self._chosen][rows], self._offsets[slots])
        near = (distances <= self._parameters.eps_max) & (slots != self._chosen[rows])
        return set(zip(rows[near].tolist(), slots[near].tolist(), strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layout", description=__doc__.partition("\n")[0])
    parser.add_argument("sets", nargs="*", type=Path, help="sets of embeddings, with an array E")
    parser.add_argument("--faces", type=int, default=100_000, help="faces of the archive (100,000)")
    worlds = sorted(path.stem for path in WORLDS.glob("*.npz"))
    parser.add_argument("--world", choices=worlds, default=DEFAULT_WORLD, help=f"whose faces ({DEFAULT_WORLD})")
    parser.add_argument("--json", action="store_true", help="print JSON, one row per line")
    chosen = parser.parse_args()
    if chosen.sets:
        Console(stderr=chosen.json, width=120).print(of_sets(chosen.sets))
    rows = Comparison(chosen.faces, chosen.world).rows()
    if chosen.json:
        print_json(rows)
    else:
        print_table(rows, dict)


if __name__ == "__main__":
    main()
