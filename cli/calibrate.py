"""`facestream calibrate`: draws a reference from the faces of the archive, and publishes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from calibration.distances import Vectors
from calibration.drawing import draw, sample
from cli.archive import open_archive
from cli.common import load_settings, now
from cli.options import Data, Json
from cli.printing import print_json, print_values
from cli.progress import progress_bar
from consumers.references import event_of, space_of_settings
from errors import UserError
from producers.references import publish_reference
from schemas.faces import Face, ScanAnalysed
from schemas.topics import FACES
from settings import ClusteringSettings, KafkaSettings
from stream.reading import latest_events


@dataclass(frozen=True)
class Report:
    """What was drawn. strangers_within_eps: the share of the pairs of strangers, by the reference's own tail.

    wrong_links_per_face: so many strangers a face has within eps, before shared neighbours are asked for.
    """

    reference: str
    faces: int
    sampled: int
    people: int
    eps: float
    strangers_within_eps: float
    wrong_links_per_face: float


def calibrate(data: Data = None, json_: Json = False) -> None:
    """Draw a reference from the faces that are there now, for the calibrated distance. It takes effect on a restart.

    Then the index publishes all neighbours again. A reference is never changed: draw another one when the archive has
    grown to twice its size, or holds pictures of another kind.
    """
    settings = load_settings(data)
    space = space_of_settings(settings)
    with open_archive(settings, "calibrate", database=False) as running:
        with _progress("reading faces") as advance:
            advance(0, 1)
            face_ids, vectors = _sampled_faces(running.kafka, space.embedder)
        try:
            with _progress("drawing") as advance:
                reference = draw(vectors, len(face_ids), advance, space.unit)
        except ValueError as error:
            raise UserError(f"no reference was drawn, the one in use stays: {error}") from error
        publish_reference(running.kafka, event_of(reference, now(), space), now)
    eps = ClusteringSettings.model_validate({"distance": "calibrated"}).eps
    if settings.clustering.distance == "calibrated":
        eps = settings.clustering.eps
    strangers = reference.strangers_within(eps)
    report = Report(
        reference=reference.name,
        faces=len(face_ids),
        sampled=len(vectors),
        people=len(reference.banks[0]),
        eps=eps,
        strangers_within_eps=strangers,
        wrong_links_per_face=strangers * len(face_ids),
    )
    if json_:
        print_json(report)
        return
    print_values(
        "Reference",
        [
            ("name", report.reference),
            ("faces in the archive", f"{report.faces:,}"),
            ("  grouped to draw from", f"{report.sampled:,}"),
            ("people in the reference", f"{report.people:,}"),
            (f"pairs of strangers within {report.eps}", f"{report.strangers_within_eps:.1e}"),
            ("  strangers so near to a face", f"{report.wrong_links_per_face:.3f}"),
        ],
    )


def _sampled_faces(kafka: KafkaSettings, embedder: str) -> tuple[list[str], Vectors]:
    """The ids of all live faces of this embedder, and the embeddings of the sampled ones.

    `faces` is read twice, to hold few of them.
    """

    def faces_of(scan: ScanAnalysed) -> tuple[Face, ...]:
        return scan.faces if scan.provenance.embedder == embedder else ()

    by_scan = latest_events(kafka, FACES, ScanAnalysed, lambda scan: tuple(face.face_id for face in faces_of(scan)))
    face_ids = sorted(face_id for ids in by_scan.values() for face_id in ids)
    ordered = [face_ids[position] for position in sample(face_ids)]
    wanted = set(ordered)
    found = latest_events(
        kafka,
        FACES,
        ScanAnalysed,
        lambda scan: {face.face_id: face.vector for face in faces_of(scan) if face.face_id in wanted},
    )
    vectors = {face_id: vector for of_scan in found.values() for face_id, vector in of_scan.items()}
    chosen = [vectors[face_id] for face_id in ordered if face_id in vectors]
    return face_ids, np.array(chosen, dtype=np.float32).reshape(len(chosen), -1)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    with progress_bar(what) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, all_: progress.update(bar, completed=done, total=all_)
