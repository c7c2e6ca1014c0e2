"""Which embedder an archive has: consumers go over to another one only when most scans are analysed with it."""

from __future__ import annotations

from collections import Counter

from consumers.references import last_published, space_of_settings
from errors import Fatal
from models.descriptions import Space
from schemas.faces import ScanAnalysed
from schemas.topics import FACES, Topic
from settings import KafkaSettings, Settings
from stream.reading import latest_events


def check_embedder(settings: Settings) -> None:
    """Raises Fatal where consumers with these settings would stop, because most scans are of another embedder."""
    last, space = last_published(settings), space_of_settings(settings)
    if last is not None and last.embedder != space.published:
        check_most_are_of(settings.kafka, space)


def check_most_are_of(kafka: KafkaSettings, space: Space, faces: Topic = FACES) -> None:
    """Raises Fatal where most scans are analysed with another embedder: their faces would lose their neighbours.

    So an embedder that somebody does not set any more does no harm. Reads all of the topic of analyses.
    """
    found = latest_events(kafka, faces, ScanAnalysed, lambda scan: scan.provenance.embedder)
    counts = Counter(found.values())
    own = counts.pop(space.embedder, 0)
    if counts.total() <= own:
        return
    ((most, scans),) = counts.most_common(1)
    raise Fatal(
        f"{scans:,} scans are analysed with the embedder {most}, and {own:,} with {space.embedder}, which is set: set "
        "the former again (FACESTREAM_MODELS__EMBEDDER), or have the scans analysed with the latter first "
        "(facestream reanalyse --all --embedder)"
    )
