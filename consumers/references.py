"""Which reference distances are calibrated with: the one of the settings, the one drawn last, or the built-in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from calibration.builtin import builtin_reference
from calibration.reference import Reference
from errors import Fatal
from schemas.faces import EMBEDDING_DIMENSIONS
from schemas.neighbours import NeighboursFound
from schemas.references import ReferenceDrawn
from schemas.topics import NEIGHBOURS, REFERENCES
from settings import KafkaSettings, Settings
from stream.lag import lag_reader
from stream.reading import read_to_end, read_until
from stream.records import Received

BUILT_IN = "builtin"

# Of the end of `neighbours`, so many records are looked at: among them is one of each shard, as long as all publish.
_LAST_RECORDS = 1000
# With fewer faces a reference of their own may be worse than the built-in one (docs/clustering.md).
_ENOUGH_FACES = 2_500


def reference_of(settings: Settings) -> Reference | None:
    """The reference that the index is to use; None where distances are Euclidean. Raises Fatal for an unknown one."""
    wanted = settings.clustering.reference
    if settings.clustering.distance == "euclidean":
        return None
    if wanted == BUILT_IN:
        return builtin_reference()
    drawn = {event.name: event for event in _drawn(settings.kafka)}
    if wanted is None:
        return reference_from(next(reversed(drawn.values()))) if drawn else builtin_reference()
    if wanted not in drawn:
        known = ", ".join([BUILT_IN, *drawn])
        raise Fatal(f"there is no reference {wanted!r}: there are {known}; draw one with `facestream calibrate`")
    return reference_from(drawn[wanted])


def should_calibrate(settings: Settings, faces: int) -> bool:
    """Whether an archive of so many faces has enough for a reference of its own, and none was drawn or chosen."""
    chosen = settings.clustering.distance == "euclidean" or settings.clustering.reference is not None
    return faces >= _ENOUGH_FACES and not chosen and next(_drawn(settings.kafka), None) is None


def published_reference(settings: Settings, shard: int | None = None) -> str | None:
    """The name of the reference of what the index published last (in this shard); None: Euclidean distances.

    Raises LookupError where it has published nothing yet.
    """
    with lag_reader(settings.kafka) as reader:
        end = reader.end(NEIGHBOURS)
    partition = (NEIGHBOURS.name, 0)
    start = max(0, end - _LAST_RECORDS)
    messages = (it.message for it in read_until(settings.kafka, {partition: end}, {partition: start}))
    names = [
        message.reference
        for message in messages
        if isinstance(message, NeighboursFound) and shard in (None, message.shard)
    ]
    if not names:
        raise LookupError("nothing was published")
    return names[-1]


def followed_reference(settings: Settings) -> str | None:
    """The name of the reference that clusters are to be made with: that of the neighbours which the index publishes.

    None where distances are Euclidean. Where the index has published no others yet, the one that it is to use.
    """
    if settings.clustering.distance == "euclidean":
        return None
    published = _published_or_none(settings)
    if published is not None:
        return published
    reference = reference_of(settings)
    return None if reference is None else reference.name


class FollowedReference:
    """The reference of a clusterer, which stops when the index goes over to another one: its edges would be lost."""

    def __init__(self, settings: Settings) -> None:
        self.name = followed_reference(settings)
        self._settings = settings
        self._seen = {self.name}

    def check(self, batch: Iterable[Received]) -> None:
        """Raises Fatal where the batch shows that the index uses another reference now. Older records do no harm."""
        messages = (received.message for received in batch)
        references = {message.reference for message in messages if isinstance(message, NeighboursFound)}
        if references <= self._seen:
            return
        published = _published_or_none(self._settings)
        if published in references - {self.name}:
            raise Fatal(
                f"the index went over from {_named(self.name)} to {_named(published)}: start the clustering again, "
                "with the same distance in its settings"
            )
        self._seen |= references


def event_of(reference: Reference, now: datetime) -> ReferenceDrawn:
    """A reference as it is published."""
    return ReferenceDrawn(
        name=reference.name,
        drawn_at=now,
        banks=tuple(bank.astype("<f4").tobytes() for bank in reference.banks),
        level=reference.level,
        largest_offset=reference.largest_offset,
        slope=reference.slope,
        sampled=reference.sampled,
        archive_faces=reference.archive_faces,
    )


def reference_from(event: ReferenceDrawn) -> Reference:
    """The published reference. Raises Fatal where it is not what its name says."""
    banks = tuple(np.frombuffer(bank, dtype="<f4").reshape(-1, EMBEDDING_DIMENSIONS) for bank in event.banks)
    reference = Reference(banks, event.level, event.largest_offset, event.slope, event.sampled, event.archive_faces)
    if reference.name != event.name:
        raise Fatal(f"the reference {event.name} in `references` is damaged: draw another one, `facestream calibrate`")
    return reference


def _published_or_none(settings: Settings) -> str | None:
    try:
        return published_reference(settings)
    except LookupError:
        return None


def _named(reference: str | None) -> str:
    return "Euclidean distances" if reference is None else f"the reference {reference}"


def _drawn(kafka: KafkaSettings) -> Iterator[ReferenceDrawn]:
    """All references, the one drawn last at the end."""
    messages = (received.message for received in read_to_end(kafka, REFERENCES))
    return (message for message in messages if isinstance(message, ReferenceDrawn))
