"""What is known of a network that a person brings: a TOML file, or a preset of the product, or one made from the other.

The keys are the fields of EmbedderDescription and DetectorDescription; docs/models.md explains them. A file may begin
from a preset (`preset = "arcface"`) and then names only what differs.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.weights import EMBEDDER, WeightFile, WeightsError, weight_file
from schemas import defaults
from schemas.base import DLIB_EMBEDDER, EMBEDDING_DIMENSIONS, LARGEST_DISTANCE, MOST_DIMENSIONS, Sha256

DLIB = defaults.MODEL
"""The setting for dlib's own network."""

COARSEST_CELL = 32
"""The side of the largest cells of detectors with five landmarks, in pixels."""

_Side = Annotated[int, Field(ge=8, le=1024)]
_Channels = tuple[float, float, float]
_Point = tuple[float, float]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Description(BaseModel):
    """What both kinds of network have.

    name: for people. path: of the ONNX file; a relative one is beside the TOML file. sha256: of the ONNX file. layout:
    the axes of the input: nchw is (batch, channels, rows, columns), nhwc (batch, rows, columns, channels). colour: the
    order of the channels. A pixel's value, 0 to 255, becomes (value - mean) / scale; both in the order red, green,
    blue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: _Name
    path: Path | None = None
    sha256: Sha256 | None = None
    layout: Literal["nchw", "nhwc"] = "nchw"
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: _Channels = (0.0, 0.0, 0.0)
    scale: _Channels = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _scale_divides(self) -> Self:
        if not all(self.scale):
            raise ValueError("scale has a 0: pixels are divided by it")
        return self

    def weights(self) -> WeightFile:
        """The ONNX file. Raises WeightsError where it is missing, or is not the one that the description names."""
        if self.path is None:
            raise WeightsError(f"the network {self.name} has no file: name it with path, or by the setting of its path")
        found = weight_file(self.name, self.path)
        if self.sha256 is not None and found.sha256 != self.sha256:
            raise WeightsError(
                f"{self.path} is not the network that {self.name} describes: its sha256 is {found.sha256}, "
                f"not {self.sha256}"
            )
        return found


class Targets(BaseModel):
    """Where landmarks come to lie in an aligned face, in pixels of it; left and right as seen in the picture.

    A similarity transform takes a face's landmarks nearest to those of these that its landmarks have (Umeyama 1991).
    dlib's have the eyes (the mean of the two corners of each) and the point below the nose; those of detectors with
    five points have the eyes, the tip of the nose, and the corners of the mouth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    left_eye: _Point
    right_eye: _Point
    nose: _Point | None = None
    mouth_left: _Point | None = None
    mouth_right: _Point | None = None
    below_nose: _Point | None = None

    @model_validator(mode="after")
    def _eyes_are_apart(self) -> Self:
        if self.left_eye[0] >= self.right_eye[0]:
            raise ValueError("left_eye is not left of right_eye: both are as seen in the picture")
        return self

    def named(self) -> dict[str, _Point]:
        """The points that there are, by name."""
        return {name: point for name, point in self if point is not None}


class EmbedderDescription(Description):
    """An embedder.

    dimension: how many numbers an embedding has. size: width and height of the input. targets: see Targets; without
    them the network takes dlib's chips, scaled to `size`. flip: the embeddings of a face and of its mirror image are
    averaged. normalise: embeddings are brought to length 1. eps, eps_max: the clustering's thresholds for this network
    by Euclidean distance.
    """

    dimension: int = Field(ge=2, le=MOST_DIMENSIONS)
    size: tuple[_Side, _Side]
    targets: Targets | None = None
    flip: bool = False
    normalise: bool = True
    eps: float = Field(gt=0, le=LARGEST_DISTANCE)
    eps_max: float = Field(gt=0, le=LARGEST_DISTANCE)

    @model_validator(mode="after")
    def _eps_max_is_largest(self) -> Self:
        if self.eps > self.eps_max:
            raise ValueError(f"eps {self.eps} is larger than eps_max {self.eps_max}")
        return self

    @cached_property
    def identity(self) -> str:
        """The embedder's id in `faces`: its name, and a digest of all that an embedding depends on.

        So vectors of two descriptions that differ in more than thresholds are never compared. Where the description has
        no sha256, the file is read for it. Raises WeightsError.
        """
        facts = self.model_dump(mode="json", exclude={"name", "path", "sha256", "eps", "eps_max"})
        facts["sha256"] = self.sha256 or self.weights().sha256
        return f"{self.name}-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]}"


class DetectorDescription(Description):
    """A detector with five landmarks.

    outputs: how its outputs are read: yunet (Wu et al. 2023) or scrfd (Guo et al. 2021), see models.point_detector.
    size: width and height of the input, multiples of COARSEST_CELL; without it, any of these. threshold: the score, 0
    to 1, from which on a detection is a face. overlap: detections of a larger intersection over union are one face.
    """

    outputs: Literal["yunet", "scrfd"]
    size: tuple[_Side, _Side] | None = None
    threshold: float = Field(default=0.5, gt=0, lt=1)
    overlap: float = Field(default=0.4, gt=0, lt=1)

    @model_validator(mode="after")
    def _size_is_of_whole_cells(self) -> Self:
        if any(side % COARSEST_CELL for side in self.size or ()):
            raise ValueError(
                f"size has a side that is no multiple of {COARSEST_CELL}, the largest cell of such networks"
            )
        return self


def embedder_description(setting: str, path: Path | None = None) -> EmbedderDescription | None:
    """The embedder that a setting chooses: a preset's name or a TOML file; None where it is dlib's.

    `path`: of the ONNX file, in place of the one that the description names. Raises WeightsError in one line.
    """
    return None if setting == DLIB else _described(EmbedderDescription, setting, path)


def detector_description(setting: str, path: Path | None = None) -> DetectorDescription | None:
    """The detector that a setting chooses, as `embedder_description`."""
    return None if setting == DLIB else _described(DetectorDescription, setting, path)


@dataclass(frozen=True)
class Space:
    """What vectors of one embedder have in common. Those of two are never compared.

    embedder: its id in `faces`. eps, eps_max: the thresholds by Euclidean distance.
    """

    embedder: str
    dimension: int
    eps: float
    eps_max: float

    @property
    def published(self) -> str | None:
        """The embedder as `neighbours` and `references` name it: None for dlib's published one."""
        return None if self.embedder == DLIB_EMBEDDER else self.embedder

    @property
    def unit(self) -> float:
        """How many times as long its distances are as those of dlib's embedder that mean the same."""
        return self.eps / defaults.EPS


DLIB_SPACE = Space(DLIB_EMBEDDER, EMBEDDING_DIMENSIONS, defaults.EPS, defaults.EPS_MAX)


def space_of(setting: str, path: Path | None = None) -> Space:
    """The space of the embedder that is set. A network is not loaded. Raises WeightsError."""
    description = embedder_description(setting, path)
    if description is not None:
        return Space(description.identity, description.dimension, description.eps, description.eps_max)
    # A file of dlib's kind in place of the published one.
    return DLIB_SPACE if path is None else replace(DLIB_SPACE, embedder=weight_file(EMBEDDER, path).sha256)


def eps_max_of(setting: str, path: Path | None = None) -> float:
    """The largest Euclidean distance that means anything with the embedder that is set. Raises WeightsError.

    The network's file is not read: whoever looks at an archive need not have it.
    """
    description = embedder_description(setting, path)
    return DLIB_SPACE.eps_max if description is None else description.eps_max


def euclidean_reach(distance: str, eps_max: float, setting: str, path: Path | None = None) -> float:
    """How far from a face others are looked for by Euclidean distance. Raises WeightsError.

    distance, eps_max: as clusters are made; setting, path: of the embedder.
    """
    return eps_max if distance == "euclidean" else eps_max_of(setting, path)


_Any = TypeVar("_Any", bound=Description)


def _described(kind: type[_Any], setting: str, path: Path | None) -> _Any:
    preset = _preset(setting)
    source, facts = (setting, preset) if preset is not None else (setting, _file(Path(setting)))
    if preset is None and (begins_from := facts.pop("preset", None)) is not None:
        base = _preset(str(begins_from))
        if base is None:
            raise WeightsError(f"{source}: there is no preset {begins_from!r}; there are: {', '.join(presets())}")
        if "path" in facts or "sha256" in facts:
            base.pop("sha256", None)
        facts = base | facts
    if path is not None:
        facts["path"] = path
    try:
        return kind.model_validate(facts)
    except ValidationError as error:
        raise WeightsError(f"{source}: {_wording(error)}") from error


def _wording(error: ValidationError) -> str:
    """The first problem of a description, in the words of TOML."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    text = _WORDS.get(problem["type"], "").format(**problem.get("ctx", {}))
    text = text or problem["msg"].removeprefix("Value error, ")
    return f"{where + ': ' if where else ''}{text[0].lower()}{text[1:]}"


_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such key",
    "tuple_type": "should be a list of numbers",
    "too_long": "should have {max_length} numbers, not {actual_length}",
    "path_type": "should be the name of a file",
    "model_type": "should be a table of points",
}
"""What pydantic words for Python, by its types of errors."""


def presets() -> list[str]:
    """The names of the presets of the product."""
    return sorted(entry.name.removesuffix(".toml") for entry in _PRESETS.iterdir() if entry.name.endswith(".toml"))


_PRESETS = files("models") / "presets"


def _preset(name: str) -> dict[str, Any] | None:
    return tomllib.loads((_PRESETS / f"{name}.toml").read_text("utf-8")) if name in presets() else None


def _file(path: Path) -> dict[str, Any]:
    try:
        facts = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join([DLIB, *presets()])
        raise WeightsError(
            f"{path} cannot be read ({error.strerror}): a network is described by a TOML file, or is one of: {known}"
        ) from error
    except UnicodeDecodeError as error:
        raise WeightsError(
            f"{path} is not TOML: a network is described by a TOML file, which names its file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"{path} is not TOML: {error}") from error
    if isinstance(facts.get("path"), str):
        facts["path"] = path.parent / facts["path"]
    return facts
