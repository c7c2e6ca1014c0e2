"""`facestream replay`: build a generation with other parameters from the log, beside the live one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from calibration.builtin import builtin_reference
from cli.archive import open_archive
from cli.building import build
from cli.common import euclidean_thresholds, load_settings, moment, now
from cli.generation_texts import described, different
from cli.options import Data
from cli.printing import print_line, stderr
from cli.replay_embedder import check_networks, describe_again, embedder_id, parameters_by, same
from consumers.generations import models_with, parameters_of
from consumers.references import BUILT_IN, reference_of
from errors import UserError
from producers.generations import Change, change_generations, definition
from schemas.generations import FIRST, LIVE, GenerationParameters, State
from schemas.topics import FACES, LABELS, NEIGHBOURS, SCANS, Topic, of_generation
from settings import ClusteringSettings, Settings
from stream.generations import Generations, read_generations, topics_of
from stream.reading import beginning_of, end_of, offset_at
from stream.stages import stages_of

# Scans a second, of two faces each, that a clusterer takes on two cores; and an index and a clusterer together, where
# neighbours are found again (docs/performance.md, "Through Kafka": 975 and 738 faces a second up to 20,000). A scan has
# to be read and decoded to be looked at again.
_USUAL_RATE = 500
_USUAL_INDEX_RATE = 350
_USUAL_SCAN_RATE = 20


class From(StrEnum):
    """What a generation is built from."""

    NEIGHBOURS = "neighbours"
    FACES = "faces"
    SCANS = "scans"


class Distance(StrEnum):
    """Between embeddings."""

    EUCLIDEAN = "euclidean"
    CALIBRATED = "calibrated"


def replay(
    into: Annotated[str, typer.Option("--into", help="The generation's name: small letters and digits.")],
    topic: Annotated[
        From,
        typer.Option(
            "--topic",
            help="Cluster again; find the neighbours again too, in an index of its own; or look at the scans again "
            "too, with another embedder.",
        ),
    ] = From.NEIGHBOURS,
    embedder: Annotated[
        str | None,
        typer.Option(
            help="With --topic scans: what faces are compared by, a TOML file that describes it, or dlib.",
            show_default=False,
        ),
    ] = None,
    distance: Annotated[
        Distance | None, typer.Option(help="With --topic faces or scans: between embeddings.", show_default="as live")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="With --topic faces or scans: what distances are calibrated with, a name or builtin.",
            show_default="as live",
        ),
    ] = None,
    eps_max: Annotated[
        float | None,
        typer.Option(
            help="With --topic faces or scans: the largest distance that is published.", show_default="as live"
        ),
    ] = None,
    eps: Annotated[float | None, typer.Option(help="Largest distance of neighbours.", show_default="as live")] = None,
    min_samples: Annotated[
        int | None, typer.Option(help="Neighbours that make a core.", show_default="as live")
    ] = None,
    shared_weight: Annotated[
        float | None,
        typer.Option(help="How much nearer two faces must be that share no neighbours.", show_default="as live"),
    ] = None,
    same_scan_eps: Annotated[
        float | None, typer.Option(help="The same for two faces of one scan.", show_default="as live")
    ] = None,
    min_size_px: Annotated[
        float | None, typer.Option(help="Smaller faces join no others.", show_default="as live")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Faces of a lower score join no others.", show_default="as live")
    ] = None,
    min_sharpness: Annotated[
        float | None, typer.Option(help="Blurred faces join no others.", show_default="as live")
    ] = None,
    from_time: Annotated[
        datetime | None,
        typer.Option("--from", help="Only what the index has published since this time.", show_default="all"),
    ] = None,
    from_offset: Annotated[
        int | None,
        typer.Option(help="Only records of neighbours from this offset on.", show_default="the first", min=0),
    ] = None,
    max_rate: Annotated[
        float | None, typer.Option(help="Scans a second at most.", min=0.001, show_default="as many as can be")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Cluster all faces again with other parameters, as a generation beside the live one.

    With another embedder, --topic scans, faces keep their ids and boxes, and so their names; what is not given is what
    applies by it where nothing is set. Prints what it is going to do and asks first. Killed or stopped, the same
    command goes on where it was. Then `facestream compare` shows what differs, and `facestream promote` makes it the
    live one.
    """
    if into == LIVE or not into.isascii() or not into.isalnum() or into != into.lower() or len(into) > 40:
        raise UserError(f"--into {into}: a generation is named with small letters and digits, and not {LIVE!r}")
    settings = load_settings(data)
    wanted = {
        "eps": eps,
        "min_samples": min_samples,
        "shared_weight": shared_weight,
        "same_scan_eps": same_scan_eps,
        "min_size_px": min_size_px,
        "min_score": min_score,
        "min_sharpness": min_sharpness,
    }
    searched = {"distance": distance and distance.value, "reference": reference, "eps_max": eps_max}
    chosen = {name: value for name, value in (wanted | searched).items() if value is not None}
    if topic is From.NEIGHBOURS and chosen.keys() & searched.keys():
        raise UserError("another distance, reference or eps_max: neighbours have to be found again, --topic faces")
    if topic is not From.SCANS and embedder is not None:
        raise UserError("another embedder: scans have to be looked at again, --topic scans")
    if topic is From.SCANS and embedder is None:
        raise UserError("--topic scans is for another embedder: name it, --embedder, or find neighbours again alone")
    if topic is not From.NEIGHBOURS and (from_offset is not None or from_time is not None):
        raise UserError("--from and --from-offset are for --topic neighbours: an index has all faces")
    neighbours = NEIGHBOURS if topic is From.NEIGHBOURS else of_generation(NEIGHBOURS, into)
    faces = of_generation(FACES, into) if topic is From.SCANS else FACES
    with open_archive(settings, "replay") as running:
        generations = read_generations(running.kafka)
        parameters = (
            _parameters(running, generations, topic, chosen)
            if embedder is None
            else parameters_by(running, embedder, chosen)
        )
        if topic is not From.NEIGHBOURS:
            parameters = _with_reference(running, parameters)
        since = _since(running, generations, into, from_offset, from_time)
        read = (neighbours, faces)
        if parameters.embedder is not None and describe_again(running, generations, into, parameters.embedder):
            print_line(f"recorded: the embedder of the generation {into} is described by {embedder}")
            generations = read_generations(running.kafka)
        if not _must_build(generations, into, parameters, since, read, bool(chosen)):
            print_line(f"the generation {into} is built: facestream compare {generations.live} {into}")
            return
        if parameters.embedder is not None:
            check_networks(running, parameters.embedder)
        parameters = generations.defined[into].parameters if into in generations.defined else parameters
        _print_plan(running, generations, into, parameters, since, read, max_rate)
        if not yes and not typer.confirm(f"build the generation {into}?", err=True):
            raise UserError("nothing was built")

        def begin(present: Generations) -> Sequence[Change]:
            _must_build(present, into, parameters, since, read, explicit=True)
            known = into in present.defined
            return () if known else [definition(into, parameters, State.BUILDING, now(), since, *read)]

        change_generations(running.kafka, now, begin)
        build(running, into, neighbours, faces, max_rate)

        def end(present: Generations) -> Sequence[Change]:
            state = present.state(into)
            if state is State.BUILT:
                return ()
            if state is not State.BUILDING:
                raise UserError(f"the generation {into} was retired while it was built: nothing was changed")
            return [definition(into, parameters, State.BUILT, now(), since, *read)]

        change_generations(running.kafka, now, end)
    print_line(f"built: {into}; what differs: facestream compare {generations.live} {into}")


def _parameters(
    settings: Settings, generations: Generations, topic: From, chosen: dict[str, Any]
) -> GenerationParameters:
    """Those of the live generation, as far as they are known, and the chosen ones. Raises UserError.

    Where the live one has an index or an embedder of its own, and the new one has not, those of the first one: its
    distances are others. By another distance, those that are not chosen are what applies by it where nothing is set.
    """
    live = generations.live
    is_as_live = generations.faces(live) == FACES if topic is From.FACES else generations.neighbours(live) == NEIGHBOURS
    known = generations.defined.get(live if is_as_live else FIRST)
    base = known.parameters if known else parameters_of(settings.clustering)
    values = base.model_dump(exclude={"reference", "embedder"})
    # The names of the live ones that are left out are those that are not set.
    unset = {name: value for name, value in values.items() if value is None}
    if "distance" in chosen and chosen["distance"] != base.distance:
        # Thresholds mean something else by another distance.
        unchosen = euclidean_thresholds(settings.models) if chosen["distance"] == "euclidean" else {}
        try:
            return parameters_of(ClusteringSettings(**unchosen | chosen))
        except ValidationError as error:
            raise UserError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    eps_max = chosen.get("eps_max", base.eps_max)
    if chosen.get("eps", base.eps) > eps_max:
        eps = chosen.get("eps", base.eps)
        raise UserError(f"--eps: eps {eps} is larger than eps_max {eps_max}: edges beyond eps_max are not kept")
    checked = load_settings(settings.data, clustering=values | chosen).clustering
    parameters = parameters_of(checked.model_copy(update={**unset, **chosen}), base.reference)
    return parameters.model_copy(update={"reference": chosen["reference"]}) if "reference" in chosen else parameters


def _with_reference(settings: Settings, parameters: GenerationParameters) -> GenerationParameters:
    """The parameters with the name of a reference that its own index keeps to. Raises Fatal for an unknown one."""
    if parameters.distance == "euclidean":
        return parameters.model_copy(update={"reference": None})
    builtin = builtin_reference().name
    wanted = BUILT_IN if parameters.reference == builtin else parameters.reference
    own = ClusteringSettings(**parameters.model_dump(exclude={"reference", "embedder"}), reference=wanted)
    embedder = parameters.embedder
    models = settings.models if embedder is None else models_with(settings.models, embedder.described_by)
    found = reference_of(settings.model_copy(update={"clustering": own, "models": models}))
    name = BUILT_IN if found is None or found.name == builtin else found.name
    return parameters.model_copy(update={"reference": name})


def _since(
    settings: Settings, generations: Generations, into: str, from_offset: int | None, from_time: datetime | None
) -> int:
    """The offset that the generation begins at. Raises UserError where it is none."""
    if from_offset is None and from_time is None:
        defined = generations.defined.get(into)
        return defined.since if defined else 0
    if from_offset is not None and from_time is not None:
        raise UserError("--from and --from-offset: give one of them")
    if from_time is not None:
        found = offset_at(settings.kafka, NEIGHBOURS, moment("--from", from_time))
        if found is None:
            raise UserError(f"--from {from_time:%Y-%m-%d %H:%M}: {NEIGHBOURS.name} has nothing since then")
        return found
    assert from_offset is not None
    (begin,), (end,) = beginning_of(settings.kafka, NEIGHBOURS).values(), end_of(settings.kafka, NEIGHBOURS).values()
    if not begin <= from_offset < end:
        there = f"it has those from {begin:,} to {end - 1:,}" if begin < end else "it is empty"
        raise UserError(f"--from-offset {from_offset}: {NEIGHBOURS.name} has no such offset, {there}")
    return from_offset


def _must_build(
    generations: Generations,
    into: str,
    parameters: GenerationParameters,
    since: int,
    read: tuple[Topic, Topic],
    explicit: bool,
) -> bool:
    """Whether there is anything to build. Raises UserError where it must not be built into this generation.

    read: what its clusterer and its index read. explicit: whether parameters were chosen, which then have to be those
    of a generation that is there.
    """
    state, defined = generations.state(into), generations.defined.get(into)
    if into == generations.live:
        raise UserError(f"the generation {into} is live, and subscribers follow it: replay into another one")
    if into == FIRST:
        raise UserError(f"the generation {FIRST} is that of the settings: replay into another one")
    if state is State.RETIRING:
        raise UserError(f"the generation {into} is being retired: end that first, facestream retire {into}")
    if defined is None:
        return True
    is_another = defined.since != since or (defined.neighbours, defined.faces) != tuple(topic.name for topic in read)
    of_another = embedder_id(defined.parameters) != embedder_id(parameters)
    if is_another or of_another or (explicit and not same(defined.parameters, parameters)):
        raise UserError(
            f"there is a generation {into} with other parameters ({different(parameters, defined.parameters)}): "
            f"replay into another one, or retire it first, facestream retire {into}"
        )
    return state is State.BUILDING


def _print_plan(
    settings: Settings,
    generations: Generations,
    into: str,
    parameters: GenerationParameters,
    since: int,
    read: tuple[Topic, Topic],
    max_rate: float | None,
) -> None:
    neighbours, faces = read
    log = NEIGHBOURS if neighbours == NEIGHBOURS else FACES
    live = generations.defined.get(generations.live)
    (begin,), (end,) = beginning_of(settings.kafka, log).values(), end_of(settings.kafka, log).values()
    records = max(0, end - max(begin, since))
    (decisions,) = end_of(settings.kafka, LABELS).values()
    usual = _USUAL_RATE if log == NEIGHBOURS else _USUAL_INDEX_RATE if faces == FACES else _USUAL_SCAN_RATE
    rate = min(usual, max_rate or usual)
    topics = [topic.name for topic in topics_of(into)]
    own = list(stages_of(into, *read))
    indexed = "".join(f"{topic.name}, a record a scan; " for topic in (faces, neighbours) if topic not in (FACES, log))
    pictures = "" if faces == FACES else f"the pictures of all scans, as {SCANS.name} has them; "
    lines = [
        f"generation {into}: {described(parameters)}",
        f"live is {generations.live}: {described(live.parameters) if live else 'with the settings of its clusterer'}",
        f"reads   {log.name} from offset {max(begin, since):,}, {records:,} records at most; {pictures}{LABELS.name}, "
        f"{decisions:,}",
        f"writes  {indexed}{topics[0]}, a record a face and more while clusters grow; {topics[1]}; "
        f"rows of the generation {into} in the catalogue",
        f"as      the groups {', '.join(own)}, with snapshots in {settings.data / 'snapshots'}",
        f"takes   about {_duration(records / rate)}, at {rate:,.0f} records a second"
        + (" (--max-rate)" if max_rate and max_rate <= usual else ", as usual on two cores"),
        f"{generations.live} goes on meanwhile, and nothing that subscribers see changes",
    ]
    for line in lines:
        stderr.print(line, soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
