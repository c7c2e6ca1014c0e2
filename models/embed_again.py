"""Faces that are known, embedded again by another network. Nothing is looked for: their ids and boxes stay."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from models.analyse import Engine, embeddings_of, relative_points, sharpness
from models.pixels import RgbImage
from models.protocols import Chip, Detection, Points
from models.turns import align_turned
from schemas.faces import Face, ScanAnalysed
from schemas.scans import KeptFace, ScanPublished

_QUARTER = 90


class ScanWithFaces(ScanPublished):
    """A published scan with the analysis of it that is to be made again by another embedder. It is never published."""

    analysis: ScanAnalysed

    @classmethod
    def of(cls, scan: ScanPublished, analysis: ScanAnalysed) -> ScanWithFaces:
        """The faces to keep are those of the analysis."""
        keep = tuple(KeptFace(face_id=face.face_id, box=face.box) for face in analysis.faces)
        # Both were checked when they were read.
        return cls.model_construct(**dict(scan) | {"keep": keep, "analysis": analysis})


def misfit(engine: Engine, scan: ScanWithFaces) -> str | None:
    """Why the faces of a scan cannot be embedded with this engine; None where they can."""
    made, used = scan.analysis.provenance, engine.provenance
    is_of_detector = used.landmarks == used.detector
    if scan.analysis.faces and is_of_detector and made.landmarks != used.landmarks:
        return "its faces were found by another detector, whose landmarks mean something else: have it analysed again"
    return None


def embed_again(engine: Engine, scans: Iterable[tuple[ScanWithFaces, RgbImage]]) -> list[ScanAnalysed]:
    """The analyses of these scans by the engine's embedder, in their order; each comes with its image, upright.

    Ids, boxes, scores and turns are as they were. Landmarks are found again at the same place, and so are the same
    where the network that finds them is. Raises models.onnx_session.NetworkFailed.
    """
    aligned: list[tuple[ScanAnalysed, list[tuple[Points, Chip]]]] = []
    for scan, image in scans:
        aligned.append((scan.analysis, [_align(engine, face, image) for face in scan.analysis.faces]))
    chips = [chip for _, of_scan in aligned for _, chip in of_scan]
    embeddings = iter(embeddings_of(engine, chips))
    made = {
        "landmarks": engine.provenance.landmarks,
        "embedder": engine.provenance.embedder,
        "jitter": engine.provenance.jitter,
    }
    return [
        analysis.model_copy(
            update={
                "provenance": analysis.provenance.model_copy(update=made),
                "faces": tuple(
                    _with(face, points, chip, embedding.astype("<f4").tobytes(), analysis)
                    for face, (points, chip), embedding in zip(
                        analysis.faces, of_scan, list(islice(embeddings, len(of_scan))), strict=True
                    )
                ),
            }
        )
        for analysis, of_scan in aligned
    ]


def _align(engine: Engine, face: Face, image: RgbImage) -> tuple[Points, Chip]:
    height, width = image.shape[:2]
    box = face.box
    detection = Detection(
        round(box.left * width),
        round(box.top * height),
        round(box.right * width),
        round(box.bottom * height),
        face.score,
        tuple((x * width, y * height) for x, y in face.landmarks),
    )
    return align_turned(engine.predictor, image, detection, face.turn // _QUARTER, negative=face.negative)


def _with(face: Face, points: Points, chip: Chip, embedding: bytes, analysis: ScanAnalysed) -> Face:
    return face.model_copy(
        update={
            "landmarks": relative_points(points, analysis.width, analysis.height),
            "quality": face.quality.model_copy(update={"sharpness": sharpness(chip)}),
            "embedding": embedding,
        }
    )
