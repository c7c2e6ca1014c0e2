"""A check of commands that cluster by what the index has published: that it is by the distance of the settings."""

from __future__ import annotations

from consumers.references import published_distance
from errors import UserError
from schemas.topics import NEIGHBOURS
from settings import Settings
from stream.generations import read_generations


def refuse_other_distance(settings: Settings) -> None:
    """Raise UserError where these settings have another distance than the neighbours that the index has published.

    No edge would count then, and every face would be alone. A live generation with an index of its own has its own.
    """
    generations = read_generations(settings.kafka)
    if generations.neighbours(generations.live) != NEIGHBOURS:
        return
    distance = published_distance(settings)
    if distance not in (None, settings.clustering.distance):
        raise UserError(
            f"the neighbours in this archive are by {distance} distance: set FACESTREAM_CLUSTERING__DISTANCE={distance}"
            f", or let the index publish those by {settings.clustering.distance} distance (facestream up)"
        )
