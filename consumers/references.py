"""Which reference distances are calibrated with: the one of the settings, the one drawn last, or the built-in one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from threading import Event

import numpy as np
import structlog

from calibration.builtin import builtin_reference
from calibration.reference import Reference
from errors import Fatal
from models.descriptions import DLIB_SPACE, Space, space_of
from models.weights import WeightsError
from schemas.codec import NewerRecord
from schemas.neighbours import NeighboursFound
from schemas.references import ReferenceDrawn
from schemas.topics import NEIGHBOURS, REFERENCES, Tombstone, Topic
from settings import KafkaSettings, Settings
from stream.reading import end_of, read_to_end, read_until
from stream.records import Received
from telemetry.health import health

log = structlog.get_logger()

BUILT_IN = "builtin"

# Of the end of `neighbours`, so many records are looked at: among them is one of each shard, as long as all publish.
_LAST_RECORDS = 1000
# With fewer faces a reference of their own may be worse than the built-in one (docs/clustering.md).
_ENOUGH_FACES = 2_500
_ASK_AGAIN_S = 1.0
_REFERENCE_NAME = re.compile("[0-9a-f]{16}")


def reference_of(settings: Settings) -> Reference | None:
    """The reference that the index is to use; None where distances are Euclidean. Raises Fatal for an unknown one."""
    wanted = settings.clustering.reference
    if settings.clustering.distance == "euclidean":
        return None
    space = space_of_settings(settings)
    is_dlibs = space.published is None
    if wanted == BUILT_IN and is_dlibs:
        return builtin_reference()
    drawn = {event.name: event for event in _drawn(settings.kafka) if event.embedder == space.published}
    if wanted is None and (drawn or is_dlibs):
        return reference_from(next(reversed(drawn.values()))) if drawn else builtin_reference()
    if wanted is None or wanted not in drawn:
        known = ", ".join([*([BUILT_IN] if is_dlibs else []), *drawn]) or "none"
        named = "no reference" if wanted is None else f"no reference {wanted!r}"
        of_embedder = "" if is_dlibs else f" of the embedder {space.embedder}"
        raise Fatal(
            f"there is {named}{of_embedder}: there are {known}; draw one with `facestream calibrate`, or set "
            "FACESTREAM_CLUSTERING__DISTANCE=euclidean"
        )
    return reference_from(drawn[wanted])


def space_of_settings(settings: Settings) -> Space:
    """The space of the embedder that is set. Raises Fatal where its description cannot be used."""
    try:
        return space_of(settings.models.embedder, settings.models.embedder_path)
    except WeightsError as error:
        raise Fatal(str(error)) from error


def should_calibrate(settings: Settings, faces: int) -> bool:
    """Whether an archive of so many faces has enough for a reference of its own, and none was drawn or chosen."""
    chosen = settings.clustering.distance == "euclidean" or settings.clustering.reference is not None
    if faces < _ENOUGH_FACES or chosen:
        return False
    published = space_of_settings(settings).published
    return not any(event.embedder == published for event in _drawn(settings.kafka))


def last_published(settings: Settings, shard: int | None = None, topic: Topic = NEIGHBOURS) -> NeighboursFound | None:
    """What the index published last (in this shard) and is not deleted; None where it has published nothing yet.

    Where all that was looked at is deleted, the last of that.
    """
    ends = end_of(settings.kafka, topic)
    starts = {partition: max(0, end - _LAST_RECORDS) for partition, end in ends.items()}
    found: NeighboursFound | None = None
    there: dict[str, NeighboursFound] = {}
    # At a record of a later version whoever follows the topic stops, after what comes before it.
    with suppress(NewerRecord):
        for it in read_until(settings.kafka, ends, starts):
            if isinstance(it.message, NeighboursFound) and shard in (None, it.message.shard):
                # Without its faces, which may be many.
                found = it.message.model_copy(update={"faces": ()})
                there.pop(found.key, None)
                there[found.key] = found
            elif isinstance(it.message, Tombstone):
                there.pop(it.message.key, None)
    return next(reversed(there.values()), found)


def published_distance(settings: Settings) -> str | None:
    """The kind of the distances that the index published last, as settings call it; None before the first."""
    last = last_published(settings)
    return None if last is None else "euclidean" if last.reference is None else "calibrated"


def published_measure(settings: Settings, shard: int | None = None, topic: Topic = NEIGHBOURS) -> str | None:
    """What the distances of what the index published last (in this shard) are measured by, see NeighboursFound.

    None before the first too.
    """
    last = last_published(settings, shard, topic)
    return None if last is None else last.measure


def followed_reference(settings: Settings, topic: Topic = NEIGHBOURS) -> str | None:
    """The name of the reference that clusters are to be made with: that of the neighbours which the index publishes.

    None where distances are Euclidean. Where the index has published no others of this embedder yet, the one that it is
    to use.
    """
    if settings.clustering.distance == "euclidean":
        return None
    last = last_published(settings, topic=topic)
    if last is not None and last.reference is not None and last.embedder == space_of_settings(settings).published:
        return last.reference
    reference = reference_of(settings)
    return None if reference is None else reference.name


class FollowedReference:
    """The reference of a clusterer, which stops when the index goes over to another one: its edges would be lost.

    So it does when the index goes over to another embedder.
    """

    def __init__(self, settings: Settings, topic: Topic = NEIGHBOURS) -> None:
        """topic: the neighbours that the clusterer reads."""
        self.name = followed_reference(settings, topic)
        self._settings = settings
        self._measure = space_of_settings(settings).published if self.name is None else self.name
        self._topic = topic
        self._seen = {self._measure}

    def check(self, batch: Iterable[Received]) -> None:
        """Raises Fatal where the batch shows that the index uses another one now. Older records do no harm."""
        first: dict[str | None, tuple[Received, NeighboursFound]] = {}
        for received in batch:
            if isinstance(received.message, NeighboursFound):
                first.setdefault(received.message.measure, (received, received.message))
        if first.keys() <= self._seen:
            return
        published = published_measure(self._settings, topic=self._topic)
        if published in first.keys() - {self._measure}:
            received, message = first[published]
            raise Fatal(
                f"the index went over from {_named(self._measure)} to {_named(published)} "
                f"({received.topic} {received.partition}/{received.offset}): start the clustering again, with the same "
                "distance and embedder in its settings; a foreign record is deleted with a tombstone of its key "
                f"{message.key[:100]!r} (docs/reliability.md)"
            )
        self._seen |= first.keys()


def await_embedder(settings: Settings, stop: Event, topic: Topic = NEIGHBOURS) -> None:
    """Wait until the index compares embeddings of the embedder that is set, or has published nothing; or for `stop`.

    A clustering that began before would lose every edge, and publish all faces as strangers.
    """
    wanted = space_of_settings(settings)
    is_reported = False
    while not stop.is_set():
        health.turned()
        last = last_published(settings, topic=topic)
        if last is None or last.embedder == wanted.published:
            return
        if not is_reported:
            log.warning("waiting for the index to go over to the embedder", embedder=wanted.embedder)
            is_reported = True
        stop.wait(_ASK_AGAIN_S)


def check_distance(settings: Settings, generation: str) -> None:
    """Raise Fatal where the index of all publishes distances of another kind than this generation was built with.

    No edge would count, and all its faces would be published as strangers.
    """
    published, own = published_distance(settings), settings.clustering.distance
    if published not in (None, own):
        raise Fatal(
            f"the generation {generation} clusters by {own} distances, and the index publishes "
            f"{published} ones now: set FACESTREAM_CLUSTERING__DISTANCE back, or make another generation live and "
            "retire this one"
        )


def event_of(reference: Reference, now: datetime, space: Space = DLIB_SPACE) -> ReferenceDrawn:
    """A reference of embeddings in `space` as it is published."""
    return ReferenceDrawn(
        name=reference.name,
        drawn_at=now,
        banks=tuple(bank.astype("<f4").tobytes() for bank in reference.banks),
        level=reference.level,
        largest_offset=reference.largest_offset,
        slope=reference.slope,
        sampled=reference.sampled,
        archive_faces=reference.archive_faces,
        embedder=space.published,
        dimension=space.dimension,
        unit=reference.unit,
    )


def reference_from(event: ReferenceDrawn) -> Reference:
    """The published reference. Raises Fatal where it is not what its name says."""
    reference = _reference_of(event)
    if reference.name != event.name:
        raise Fatal(f"the reference {event.name} in `references` is damaged: draw another one, `facestream calibrate`")
    return reference


def _reference_of(event: ReferenceDrawn) -> Reference:
    banks = tuple(np.frombuffer(bank, dtype="<f4").reshape(-1, event.dimension) for bank in event.banks)
    numbers = (event.level, event.largest_offset, event.slope, event.sampled, event.archive_faces, event.unit)
    return Reference(banks, *numbers)


def _named(measure: str | None) -> str:
    if measure is None:
        return "Euclidean distances"
    return f"the reference {measure}" if _REFERENCE_NAME.fullmatch(measure) else f"the embedder {measure}"


def _drawn(kafka: KafkaSettings) -> Iterator[ReferenceDrawn]:
    """All references, the one drawn last at the end. One that is not what its name says is skipped."""
    for received in read_to_end(kafka, REFERENCES):
        if isinstance(received.message, ReferenceDrawn):
            if _reference_of(received.message).name == received.message.name:
                yield received.message
            else:
                log.warning("skipped", topic=received.topic, offset=received.offset, reason="not what its name says")
