"""The parameters of a generation and the settings that they are: a consumer of a generation runs with these."""

from __future__ import annotations

from pydantic import ValidationError

from consumers.references import space_of_settings
from errors import UserError
from schemas.generations import GenerationDefined, GenerationEmbedder, GenerationParameters
from schemas.topics import NEIGHBOURS
from settings import ClusteringSettings, Group, ModelSettings, Settings
from stream.generations import Generations


def parameters_of(settings: ClusteringSettings, reference: str | None = None) -> GenerationParameters:
    """The parameters of a generation with these settings; reference: the name of the one that is in use.

    Raises UserError for a setting that no record can hold.
    """
    values = {**settings.model_dump(), "reference": reference or settings.reference}
    try:
        return GenerationParameters.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = "__".join(str(part) for part in problem["loc"])
        if not name:
            # Of several together, which it names itself.
            raise UserError(f"the clustering: {problem['msg'].removeprefix('Value error, ')}") from error
        raise UserError(f"{name} of the clustering: {problem['msg']}, not {problem['input']!r}") from error


def settings_of(settings: Settings, defined: GenerationDefined) -> Settings:
    """The settings for a generation; all else as it is.

    Where it has no index of its own, the reference is that of the neighbours which all read: their index chooses it.
    """
    values = defined.parameters.model_dump(exclude={"embedder"})
    if defined.neighbours == NEIGHBOURS.name:
        values["reference"] = settings.clustering.reference
    own: dict[str, Group] = {"clustering": ClusteringSettings(**values)}
    if defined.parameters.embedder is not None:
        own["models"] = models_with(settings.models, defined.parameters.embedder.described_by)
    return settings.model_copy(update=own)


def models_with(models: ModelSettings, embedder: str) -> ModelSettings:
    """These settings with another embedder, whose file is the one that its description names."""
    return models.model_copy(update={"embedder": embedder, "embedder_path": None})


def embedder_of(settings: Settings, described_by: str) -> GenerationEmbedder:
    """The embedder of a generation that is described by a preset or a file. Raises Fatal where it cannot be used."""
    space = space_of_settings(settings.model_copy(update={"models": models_with(settings.models, described_by)}))
    return GenerationEmbedder(
        id=space.embedder,
        described_by=described_by,
        dimension=space.dimension,
        eps=space.eps,
        eps_max=space.eps_max,
    )


def check_embedder_of(settings: Settings, defined: GenerationDefined) -> None:
    """Raise UserError where the embedder of a generation is not what describes it now."""
    embedder = defined.parameters.embedder
    if embedder is not None and (present := embedder_of(settings, embedder.described_by).id) != embedder.id:
        raise UserError(
            f"the generation {defined.name} is of the embedder {embedder.id}, and {embedder.described_by} describes "
            f"{present} now: put the former description back, or replay into another generation"
        )


def settings_for(settings: Settings, generations: Generations, name: str) -> Settings:
    """The settings that a generation runs with. Where the first one has not published its own, those that are given."""
    defined = generations.defined.get(name)
    return settings if defined is None else settings_of(settings, defined)
