"""`python -m benchmarks.faded SCANS EMBEDDER`: how good two embedders are on photographs made to look old.

SCANS is a folder with a truth file, manifest.tsv (docs/evaluation.md), of photographs with the named face in the
middle. EMBEDDER is a preset or a TOML file; the other embedder is dlib's. The face in the middle of each photograph is
found on the photograph as it is (not doubled; if there is none, doubled once). Then the photograph is made gray, soft
(a Gaussian blur of 1 pixel), low in contrast (half of it, around its mean), noisy (a standard deviation of 4 of 255)
and a JPEG of quality 60, which moves dlib's embeddings about as far as those of lfw_dev_faded are from those of
lfw_dev. Landmarks and embeddings are of that. Clusters are those of scikit-learn's DBSCAN, min_samples 1, at each eps
of a range.

Printed are the three eps of the thesis, the threshold of each embedder, and the best F of pairs.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.cluster import DBSCAN

from evaluation.measures import measure
from evaluation.thresholds import AtEps, best, three_eps
from models.analyse import Engine, EngineParameters, load_engine
from models.descriptions import Space
from models.pixels import RgbImage
from models.protocols import Chip, Detection
from producers.truth import read_truth

_BLUR, _CONTRAST, _NOISE, _QUALITY = 1.0, 0.5, 4.0, 60
# Of the range that is measured: from this share of the threshold, to eps_max.
_FROM, _STEP = 0.7, 0.01
_COLUMNS = (
    *("completeness", "homogeneity", "v_measure", "ari", "ami", "pair_precision", "pair_recall", "pair_f"),
    *("bcubed_precision", "bcubed_recall", "bcubed_f"),
)


def main() -> None:
    """Embed, cluster, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("embedder")
    parser.add_argument("--json", action="store_true", help="print a line of JSON a row")
    chosen = parser.parse_args()
    engines = [load_engine(EngineParameters(embedder=name)) for name in ("dlib", chosen.embedder)]
    people, chips = _chips(engines, chosen.scans)
    table = Table("embedder", "eps", "", *_COLUMNS)
    for engine, own in zip(engines, chips, strict=True):
        name = engine.space.published or "dlib"
        for what, it in _rows(engine.space, engine.embedder.embed(own), people).items():
            if chosen.json:
                print(json.dumps({"embedder": name, "what": what, "eps": it.eps, **asdict(it.measures)}))
            table.add_row(name, f"{it.eps:g}", what, *(f"{getattr(it.measures, one):.3f}" for one in _COLUMNS))
    if not chosen.json:
        Console(width=200).print(table)


def _chips(engines: Sequence[Engine], scans: Path) -> tuple[list[str], list[list[Chip]]]:
    """The person of each faded photograph on which there is a face, and the chips of it for each engine."""
    people: list[str] = []
    chips: list[list[Chip]] = [[] for _ in engines]
    for it in track(read_truth(scans / "manifest.tsv"), "photographs", console=Console(stderr=True)):
        with Image.open(scans / it.row.scan) as photograph:
            face = _central_face(engines[0], np.asarray(photograph.convert("RGB")))
            picture = faded(photograph, zlib.crc32(it.row.scan.encode()))
        if face is not None:
            people.append(it.row.person)
            for own, engine in zip(chips, engines, strict=True):
                own.append(engine.predictor.align(picture, face)[1])
    return people, chips


def _central_face(engine: Engine, image: RgbImage) -> Detection | None:
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    for upsample in (0, 1):
        (faces,) = engine.detector.detect([image], upsample)
        if faces:
            return min(
                faces, key=lambda it: float(np.hypot(*((it.left + it.right) / 2, (it.top + it.bottom) / 2) - middle))
            )
    return None


def faded(photograph: Image.Image, seed: int) -> RgbImage:
    """A photograph as an old print shows it. `seed`: of the noise."""
    soft = np.asarray(photograph.convert("L").filter(ImageFilter.GaussianBlur(_BLUR)), dtype=np.float64)
    flat = soft.mean() + _CONTRAST * (soft - soft.mean())
    noisy = flat + np.random.default_rng(seed).normal(scale=_NOISE, size=flat.shape)
    written = BytesIO()
    Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(written, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(written).convert("RGB"))


def _rows(space: Space, embeddings: npt.NDArray[np.float32], people: Sequence[str]) -> dict[str, AtEps]:
    """The clustering at each eps that is printed, by what it is."""
    all_eps = sorted({*np.arange(_FROM * space.eps, space.eps_max + _STEP / 2, _STEP).round(2).tolist(), space.eps})
    measured = []
    for eps in all_eps:
        clusters = DBSCAN(eps=eps, min_samples=1).fit(embeddings.astype(np.float64)).labels_
        measured.append(AtEps(eps, measure(people, [str(number) for number in clusters])))
    chosen = three_eps(measured)
    rows = {
        "full precision": chosen.full_precision,
        "its threshold": next(it for it in measured if it.eps == space.eps),
        "balance": chosen.balance,
        "best F of pairs": best(measured, "pair_f"),
        "full recall": chosen.full_recall,
    }
    return {what: it for what, it in rows.items() if it is not None}


if __name__ == "__main__":
    main()
