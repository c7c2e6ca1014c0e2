"""What `facestream replay --topic scans` knows of the embedder of a generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cli.common import now
from consumers.generations import embedder_of, models_with, parameters_of
from errors import UserError
from producers.generations import Change, change_generations
from schemas import defaults
from schemas.generations import GenerationEmbedder, GenerationParameters
from settings import ClusteringSettings, Settings
from stream.generations import Generations


def parameters_by(settings: Settings, embedder: str, chosen: Mapping[str, Any]) -> GenerationParameters:
    """Those that were chosen, and what applies by this embedder, a setting, where nothing is set.

    Raises UserError, and Fatal where the embedder cannot be used.
    """
    # A file is understood by consumers in every folder.
    own = embedder_of(settings, str(Path(embedder).absolute()) if Path(embedder).is_file() else embedder)
    thresholds: dict[str, Any] = {}
    if embedder != defaults.MODEL:
        if chosen.get("distance", "euclidean") != "euclidean":
            raise UserError(
                f"--distance {chosen['distance']}: a reference of the embedder {own.id} is drawn from an archive that "
                "is analysed with it; here distances are euclidean"
            )
        # Neighbours are looked for as far as a larger eps needs.
        eps_max = max(own.eps_max, chosen.get("eps", 0.0))
        thresholds = {"distance": "euclidean", "eps": min(own.eps, chosen.get("eps_max", eps_max)), "eps_max": eps_max}
    try:
        parameters = parameters_of(ClusteringSettings(**thresholds | dict(chosen)))
    except ValidationError as error:
        raise UserError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    return parameters.model_copy(update={"embedder": own})


def check_networks(settings: Settings, embedder: GenerationEmbedder) -> None:
    """Raises WeightsError and EngineError where the networks cannot be loaded, or do not fit each other."""
    # Only this kind of generation has use for networks.
    from models.analyse import EngineParameters, load_engine

    models = models_with(settings.models, embedder.described_by).model_dump(exclude={"processes", "decode_deadline_s"})
    load_engine(EngineParameters(**models))


def describe_again(settings: Settings, generations: Generations, generation: str, embedder: GenerationEmbedder) -> bool:
    """Record where the embedder of a generation is described now, if its file was moved; whether it was."""

    def change(present: Generations) -> Sequence[Change]:
        known = present.defined.get(generation)
        if known is None or known.parameters.embedder == embedder or embedder_id(known.parameters) != embedder.id:
            return ()
        return [known.model_copy(update={"parameters": known.parameters.model_copy(update={"embedder": embedder})})]

    # To begin to write ends the right of whoever writes now.
    return bool(change(generations) and change(change_generations(settings.kafka, now, change)))


def embedder_id(parameters: GenerationParameters) -> str | None:
    """The id of the embedder of a generation; None where it is that of all."""
    return None if parameters.embedder is None else parameters.embedder.id


def same(one: GenerationParameters, other: GenerationParameters) -> bool:
    """Whether two generations are the same, wherever their embedder is described."""
    without = {"embedder": None}
    return embedder_id(one) == embedder_id(other) and one.model_copy(update=without) == other.model_copy(update=without)
