"""Publishing a reference to `references`, and taking faces out of one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

import numpy as np

from calibration.reference import Reference
from producers.publisher import Publisher
from schemas.references import FEWEST, ReferenceDrawn
from settings import KafkaSettings


def publish_reference(kafka: KafkaSettings, reference: ReferenceDrawn, now: Callable[[], datetime]) -> None:
    """Publish a reference. When this returns, the broker has confirmed it; else it raises errors.Fatal."""
    with Publisher(kafka, now, "references", "draw it again with `facestream calibrate`") as publisher:
        publisher.send(reference)


def without(drawn: ReferenceDrawn, embeddings: Collection[bytes]) -> ReferenceDrawn | None:
    """The reference without these embeddings: itself where it has none of them, None where too few faces are left.

    Another reference has another name, so distances are calibrated again: by a reference that differs in a few of some
    hundred faces.
    """
    size = 4 * drawn.dimension
    banks = []
    for bank in drawn.banks:
        faces = [bank[start : start + size] for start in range(0, len(bank), size)]
        banks.append(b"".join(face for face in faces if face not in embeddings))
    if tuple(banks) == drawn.banks:
        return drawn
    if any(len(bank) < FEWEST * size for bank in banks):
        return None
    vectors = tuple(np.frombuffer(bank, dtype="<f4").reshape(-1, drawn.dimension) for bank in banks)
    numbers = (drawn.level, drawn.largest_offset, drawn.slope, drawn.sampled, drawn.archive_faces, drawn.unit)
    left = Reference(vectors, *numbers)
    return drawn.model_copy(update={"name": left.name, "banks": tuple(banks)})
