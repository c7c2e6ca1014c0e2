"""Settings with a command's options, and the clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from pydantic_settings import SettingsError

from errors import UserError
from producers.folders import printable
from schemas import defaults
from settings import FromEnvironment, ModelSettings, Settings

if TYPE_CHECKING:
    from psycopg import Connection

    from models.descriptions import Space


def load_settings(data: Path | None = None, **groups: dict[str, Any]) -> Settings:
    """The settings of the environment, overridden by a command's options. Raises UserError.

    With another embedder than dlib's, distances are Euclidean and thresholds are those of its description, as far as
    they are not set. Raises models.weights.WeightsError where that cannot be used.
    """
    try:
        chosen = _settings_of_the_environment(groups).model_dump()
        if data is not None:
            chosen["data"] = data
        for group, options in groups.items():
            chosen[group] |= {name: value for name, value in options.items() if value is not None}
        return _with_nameable_folder(Settings.model_validate(chosen))
    except SettingsError as error:
        # A group that is set by one variable. The error names its field in quotes.
        _, field, *_ = str(error).split('"')
        raise UserError(f"FACESTREAM_{field.upper()}: not JSON ({error.__cause__})") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = "FACESTREAM_" + "__".join(str(part).upper() for part in problem["loc"])
        group, *names = map(str, problem["loc"])
        # The error of a whole group names the values in it that do not go together.
        chosen_here = [name for name, value in groups.get(group, {}).items() if value is not None]
        wrong = [name for name in chosen_here if name in (names[:1] or re.findall(r"\w+", problem["msg"]))]
        if wrong:
            where = " and ".join("--" + name.replace("_", "-") for name in wrong)
        # A mistyped name may be that of a secret.
        is_shown = isinstance(problem["input"], str | int | float) and problem["type"] != "extra_forbidden"
        given = f", not {problem['input']!r}" if is_shown else ""
        raise UserError(f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}") from error


class _Given(FromEnvironment):
    """What the environment sets of the networks and the clustering, without defaults of the latter."""

    models: ModelSettings = ModelSettings()
    clustering: dict[str, Any] = Field(default_factory=dict)


def _settings_of_the_environment(groups: Mapping[str, Mapping[str, Any]]) -> Settings:
    """With the thresholds of the embedder that the environment or an option chooses."""
    given = _Given()
    options = {name: value for name, value in groups.get("models", {}).items() if value is not None}
    models = given.models.model_copy(update=options)
    if models.embedder == defaults.MODEL or given.clustering.get("distance", "euclidean") != "euclidean":
        return Settings()
    by_embedder = {"distance": "euclidean", **euclidean_thresholds(models)}
    if "eps_max" not in given.clustering and "eps" in given.clustering:
        # Neighbours are looked for as far as a larger eps needs.
        by_embedder["eps_max"] = _larger(by_embedder["eps_max"], given.clustering["eps"])
    return Settings.model_validate({"clustering": by_embedder | given.clustering})


def _larger(one: float, other: object) -> float:
    try:
        return max(one, float(str(other)))
    except ValueError:  # which the settings report
        return one


def euclidean_thresholds(models: ModelSettings) -> dict[str, Any]:
    """eps and eps_max by Euclidean distance, where the embedder brings its own; dlib's are the defaults.

    Raises models.weights.WeightsError where its description cannot be used.
    """
    if models.embedder == defaults.MODEL:
        return {}
    space = _space(models)
    return {"eps": space.eps, "eps_max": space.eps_max}


def largest_euclidean(settings: Settings, connection: Connection) -> float:
    """How far from a face others are looked for by Euclidean distance, with the embedder of the live generation.

    See `models.descriptions.euclidean_reach`, and `catalogue.own_vectors.radius` where that is another than the
    settings'.
    """
    from catalogue.own_vectors import radius

    of_live = radius(connection)
    if of_live is not None:
        return of_live
    from models.descriptions import euclidean_reach

    clustering, networks = settings.clustering, settings.models
    return euclidean_reach(clustering.distance, clustering.eps_max, networks.embedder, networks.embedder_path)


def _space(models: ModelSettings) -> Space:
    # Imported here: most commands have no use for it.
    from models.descriptions import space_of

    return space_of(models.embedder, models.embedder_path)


def _with_nameable_folder(settings: Settings) -> Settings:
    try:
        str(settings.data.absolute()).encode()
    except UnicodeEncodeError as error:
        # Names are bytes. Python keeps those that it cannot read as they are, but a database's address is a text.
        raise UserError(
            f"the name of the folder {printable(settings.data)} is not UTF-8, or the locale is not: rename the folder, "
            "or set LC_ALL=C.UTF-8"
        ) from error
    return settings


def moment(option: str, time: datetime) -> datetime:
    """A time that an option gave without a zone, in the local one. Raises UserError where that has no such moment."""
    try:
        return time.astimezone()
    except (ValueError, OverflowError) as error:
        raise UserError(f"{option} {time}: no moment of any time zone") from error


def now() -> datetime:
    """The clock, passed to whatever needs one."""
    return datetime.now(UTC)
