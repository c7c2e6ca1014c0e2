"""How good the clusters are, on sets of embeddings of known people: `python -m benchmarks.quality EMBEDDINGS.npz...`.

A set has the arrays `E` (embeddings, n x d) and `F` (names, `person/photo`). For each set there is a row for each rule:
`default`, the product's default settings; `calibrated`, where that is not the default, those by calibrated distance,
with a reference that is drawn from the set itself, or the built-in one where that cannot be, and no labels; `dbscan`,
DBSCAN by Euclidean distance, at eps 0.37, at the eps with the best f by the set's labels, and at the thesis's three.
All of them run the product's own index and clustering, exactly.

Precision, recall and f count pairs of faces; `evaluation.measures` has these and the others, and `facestream evaluate`
measures an archive by them. edges_per_face: neighbours of a face.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from calibration.builtin import builtin_reference
from calibration.drawing import draw, sample
from calibration.reference import Reference
from clustering.clustering import Clustering
from clustering.what_if import hypothetical_clusters
from consumers.cluster import parameters_of
from consumers.index import parameters_of as index_parameters_of
from evaluation.measures import measure_numbered, numbered
from evaluation.thresholds import AtEps, best, three_eps
from index.entries import Analysed
from index.face_index import FaceIndex
from schemas.base import DLIB_EMBEDDER
from schemas.faces import EMBEDDING_DIMENSIONS, Face, Provenance, Quality, ScanAnalysed
from schemas.neighbours import NeighboursFound
from schemas.scans import Box
from settings import ClusteringSettings, Settings

_FIRST = datetime(1918, 2, 24, tzinfo=UTC)
_BOX = Box(left=0.1, top=0.1, right=0.9, bottom=0.9)
_PROVENANCE = Provenance(engine="-", detector="-", landmarks="-", embedder=DLIB_EMBEDDER, upsample=0, max_size=0)
_AT_ONCE = 256
_EPS = 0.37
_LOWEST, _STEP = 0.2, 0.01


@dataclass(frozen=True)
class Row:
    """One set by one rule."""

    set: str
    rule: str
    faces: int
    dimensions: int
    precision: float
    recall: float
    f: float
    ari: float
    ami: float
    v: float
    completeness: float
    homogeneity: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    clusters: int
    largest: int
    threshold: float
    edges_per_face: float


@dataclass(frozen=True)
class Set:
    """Embeddings of known people: float32, shape (n, d), the faces' ids and the number of each one's person."""

    name: str
    vectors: npt.NDArray[np.float32]
    face_ids: list[str]
    people: npt.NDArray[np.int64]


def load(path: Path) -> Set:
    """Raises ValueError where the file is not such a set."""
    with np.load(path) as loaded:
        vectors = np.ascontiguousarray(loaded["E"], dtype=np.float32)
        face_ids = [str(name) for name in loaded["F"]]
    if vectors.ndim != 2 or vectors.shape != (len(face_ids), EMBEDDING_DIMENSIONS):
        raise ValueError(f"{path}: E has shape {vectors.shape}, not ({len(face_ids)}, {EMBEDDING_DIMENSIONS})")
    people = np.unique([name.split("/")[0] for name in face_ids], return_inverse=True)[1]
    return Set(path.stem, vectors, face_ids, people.astype(np.int64))


def rows_of(one: Set, progress: Progress) -> Iterator[Row]:
    """The rows of one set."""
    bar = progress.add_task(one.name, total=1)

    def advance(done: int, all_: int) -> None:
        progress.update(bar, completed=done, total=all_)

    rules = {"default": ClusteringSettings()}
    if rules["default"].distance != "calibrated":
        rules["calibrated"] = ClusteringSettings.model_validate({"distance": "calibrated"})
    for rule, settings in rules.items():
        reference = None
        if settings.distance == "calibrated":
            progress.update(bar, description=f"{one.name}: reference")
            reference = own_reference(one, progress, advance)
        progress.update(bar, description=f"{one.name}: {rule}")
        clustering = clustering_of(one, settings, reference, advance)
        cluster_of = {it.face_id: it.cluster_id for it in clustering.assignments()}
        clusters = [cluster_of[face] for face in one.face_ids]
        yield row(one, rule, settings.eps, clusters, neighbours_of(clustering))

    progress.update(bar, description=f"{one.name}: dbscan")
    euclidean = ClusteringSettings.model_validate({"distance": "euclidean", "eps": _EPS})
    clustering = clustering_of(one, euclidean, None, advance)
    all_eps = [round(eps, 3) for eps in np.arange(_LOWEST, euclidean.eps_max + _STEP / 2, _STEP).tolist()]
    rows: dict[float, Row] = {}
    measured = []
    for number, eps in enumerate(all_eps):
        advance(number, len(all_eps))
        found = hypothetical_clusters(clustering, eps)
        cluster_of = dict(zip(found.face_ids, found.cluster_ids, strict=True))
        near = clustering.graph.edges.distance[: clustering.graph.edges.used] <= eps
        clusters = [cluster_of[face] for face in one.face_ids]
        rows[eps] = row(one, "dbscan", eps, clusters, 2 * float(near.sum()))
        measured.append(AtEps(eps, measure_numbered(one.people, numbered(clusters))))
    three = three_eps(measured)
    chosen = [it.eps for it in (three.full_precision, three.balance, three.full_recall) if it is not None]
    yield from (rows[eps] for eps in sorted({_EPS, best(measured, "pair_f").eps, *chosen}))
    progress.remove_task(bar)


def own_reference(one: Set, progress: Progress, advance: Callable[[int, int], None]) -> Reference:
    """The reference of the set itself, or the built-in one where it has too few faces or people."""
    try:
        return draw(one.vectors[sample(one.face_ids)], len(one.face_ids), advance)
    except ValueError as error:
        progress.console.print(f"{one.name}: the built-in reference, since {error}", highlight=False)
        return builtin_reference()


def clustering_of(
    one: Set, settings: ClusteringSettings, reference: Reference | None, advance: Callable[[int, int], None]
) -> Clustering:
    """The product's clustering of a set, one scan a face, searched exactly."""
    everything = Settings.model_validate({"clustering": settings.model_dump(), "index": {"exact_below": 2**31}})
    index = FaceIndex(index_parameters_of(everything, reference))
    clustering = Clustering(parameters_of(settings, None if reference is None else reference.name))
    for start in range(0, len(one.face_ids), _AT_ONCE):
        advance(start, len(one.face_ids))
        batch = range(start, min(start + _AT_ONCE, len(one.face_ids)))
        records = index.apply([_scan(number, one.face_ids[number], one.vectors[number]) for number in batch])
        clustering.apply([record for record in records if isinstance(record, NeighboursFound)])
    return clustering


def neighbours_of(clustering: Clustering) -> float:
    """How many neighbours all faces have, where shared neighbours count within reach."""
    edges = clustering.graph.edges
    kept = edges.active
    if clustering.parameters.shares_neighbours:
        kept = edges.within_reach & edges.kept_by_source & edges.kept_by_target
    return 2.0 * float(kept[: edges.used].sum())


def row(one: Set, rule: str, threshold: float, clusters: Sequence[str | None], neighbours: float) -> Row:
    """The figures of a clustering. Noise counts as clusters of one face."""
    its = measure_numbered(one.people, numbered(clusters))
    return Row(
        set=one.name,
        rule=rule,
        faces=len(clusters),
        dimensions=one.vectors.shape[1],
        precision=round(its.pair_precision, 4),
        recall=round(its.pair_recall, 4),
        f=round(its.pair_f, 4),
        ari=round(its.ari, 4),
        ami=round(its.ami, 4),
        v=round(its.v_measure, 4),
        completeness=round(its.completeness, 4),
        homogeneity=round(its.homogeneity, 4),
        bcubed_precision=round(its.bcubed_precision, 4),
        bcubed_recall=round(its.bcubed_recall, 4),
        bcubed_f=round(its.bcubed_f, 4),
        clusters=its.clusters,
        largest=its.largest,
        threshold=threshold,
        edges_per_face=round(neighbours / len(clusters), 2),
    )


def _scan(number: int, face_id: str, vector: npt.NDArray[np.float32]) -> Analysed:
    face = Face(
        face_id=face_id,
        box=_BOX,
        landmarks=(),
        score=1.0,
        quality=Quality(size_px=150, sharpness=100),
        embedding=vector.astype("<f4").tobytes(),
    )
    scan = ScanAnalysed(
        scan_id=face_id,
        sha256="0" * 64,
        published_at=_FIRST + timedelta(seconds=number),
        width=250,
        height=250,
        provenance=_PROVENANCE,
        faces=(face,),
    )
    return Analysed(number, scan)


def main() -> None:
    """Print the rows of all sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, nargs="+")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    arguments = parser.parse_args()
    rows = []
    with Progress(console=Console(stderr=True)) as progress:
        for path in arguments.embeddings:
            try:
                one = load(path)
            except (OSError, KeyError, ValueError) as error:
                sys.exit(f"quality: {path}: not a set of embeddings E and names F ({error})")
            for it in rows_of(one, progress):
                rows.append(it)
                if arguments.json:
                    print(json.dumps(asdict(it)), flush=True)
    if not arguments.json:
        table = Table(*Row.__annotations__)
        for it in rows:
            table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in asdict(it).values()))
        Console(width=230).print(table)


if __name__ == "__main__":
    main()
