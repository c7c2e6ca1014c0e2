"""The `generations` topic: clusterings with parameters of their own, and which of them is live.

A record has the name of its generation as key; `live` is the key of the one record that says which generation
subscribers and the views of the catalogue follow. A tombstone: the generation was retired, and its topics are gone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.base import LARGEST_DISTANCE, MOST_DIMENSIONS, Event, Id, Offset, Positive, Time, Value, Word

FIRST = "blue"
"""The generation that is there from the beginning: its parameters are the settings, its topics have plain names."""

LIVE = "live"
"""The key of the record that says which generation is live; no generation is called so."""

GenerationName = Annotated[str, Field(pattern="^[a-z0-9]+$", max_length=40)]
"""Small letters and digits: topics and consumer groups are called after it."""

_Distance = Annotated[float, Field(ge=0, le=LARGEST_DISTANCE)]
_Gate = Annotated[float, Field(ge=-1e9, le=1e9)]


class State(StrEnum):
    """How far a generation is."""

    BUILDING = "building"
    BUILT = "built"
    RETIRING = "retiring"
    RETIRED = "retired"


class GenerationEmbedder(Value):
    """The embedder of a generation whose scans are analysed again by it.

    id: as analyses name it. described_by: what the setting of the embedder would be: dlib, a preset, or a TOML file
    with its whole path. dimension: how many numbers an embedding has. eps, eps_max: the thresholds that it brings, by
    Euclidean distance.
    """

    id: Word
    described_by: Word
    dimension: Annotated[int, Field(ge=2, le=MOST_DIMENSIONS)]
    eps: _Distance
    eps_max: _Distance

    @model_validator(mode="after")
    def _thresholds_are_in_order(self) -> Self:
        _check_thresholds(self.eps, self.eps_max)
        return self


class GenerationParameters(Value):
    """What a generation clusters with: the fields of the settings' group `clustering`, with the same meaning.

    reference: its name, where distances are calibrated; None: that of the neighbours which the index publishes.
    embedder: None: that of the analyses which all generations read.
    """

    distance: Literal["euclidean", "calibrated"]
    reference: Id | None = None
    eps: _Distance
    eps_max: _Distance
    min_samples: Positive
    min_size_px: _Gate | None = None
    min_score: _Gate | None = None
    min_sharpness: _Gate | None = None
    same_scan_eps: _Distance | None = None
    shared_weight: _Distance
    most_neighbours: Positive
    embedder: GenerationEmbedder | None = None

    @model_validator(mode="after")
    def _thresholds_are_in_order(self) -> Self:
        _check_thresholds(self.eps, self.eps_max)
        return self


def _check_thresholds(eps: float, eps_max: float) -> None:
    """Raise ValueError for what no settings can be: a consumer of the generation could not begin."""
    if not 0 < eps <= eps_max:
        raise ValueError(f"eps {eps} is not above 0 and up to eps_max, {eps_max}")


class GenerationDefined(Event):
    """A generation, its parameters, and how far it is.

    It reads the topic `neighbours`, from the offset `since` on, which were found among the analyses in the topic
    `faces`. Its assignments and the changes of its clusters are in the topics `assignments` and `clusters`. changed_at:
    when it came into this state.
    """

    type: ClassVar[str] = "facestream.generation.defined.v1"

    name: GenerationName
    parameters: GenerationParameters
    state: State
    changed_at: Time
    neighbours: Word
    assignments: Word
    clusters: Word
    since: Offset = 0
    faces: Word = "faces"

    @property
    def key(self) -> str:
        """The generation's name."""
        return self.name


class GenerationPromoted(Event):
    """Which generation is live. Its assignments and the changes of its clusters are in `assignments` and `clusters`.

    former: the one that was live before, which a rollback makes live again.
    """

    type: ClassVar[str] = "facestream.generation.promoted.v1"

    generation: GenerationName
    former: GenerationName
    assignments: Word
    clusters: Word
    promoted_at: Time
    author: Word

    @property
    def key(self) -> str:
        """That of the only record of its kind."""
        return LIVE
