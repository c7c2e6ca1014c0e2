"""The clustering of a generation in memory, by all records that it reads. Nothing is searched or published."""

from __future__ import annotations

from clustering.clustering import Clustering
from consumers.cluster import clustering_of, present_parameters
from consumers.generations import settings_for
from settings import Settings
from stream.generations import Generations, read_generations


def clustering_of_generation(settings: Settings, generations: Generations, name: str) -> Clustering:
    """By the parameters of the generation. Raises Fatal."""
    own = settings_for(settings, generations, name)
    since = generations.defined[name].since if name in generations.defined else 0
    neighbours = generations.neighbours(name)
    return clustering_of(own.kafka, present_parameters(own, neighbours), neighbours, since)


def live_settings(settings: Settings) -> Settings:
    """Those of the live generation; before the first promotion, these. Raises Fatal."""
    generations = read_generations(settings.kafka)
    return settings if generations.promoted is None else settings_for(settings, generations, generations.live)


def live_clustering(settings: Settings) -> Clustering:
    """That of the live generation; before the first promotion, by these settings. Raises Fatal."""
    generations = read_generations(settings.kafka)
    if generations.promoted is None:
        return clustering_of(settings.kafka, present_parameters(settings))
    return clustering_of_generation(settings, generations, generations.live)
