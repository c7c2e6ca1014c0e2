"""Publishing a reference to `references`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from producers.publisher import Publisher
from schemas.references import ReferenceDrawn
from settings import KafkaSettings


def publish_reference(kafka: KafkaSettings, reference: ReferenceDrawn, now: Callable[[], datetime]) -> None:
    """Publish a reference. When this returns, the broker has confirmed it; else it raises errors.Fatal."""
    with Publisher(kafka, now, "references", "draw it again with `facestream calibrate`") as publisher:
        publisher.send(reference)
