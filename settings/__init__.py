"""The settings, read from the environment (`FACESTREAM_…`, two underscores between a group and its field).

Passwords and the like may be files instead, of the same names, in the folder that FACESTREAM_SECRETS names. What the
environment has comes first.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from errors import UserError
from schemas import defaults

SECRETS = "FACESTREAM_SECRETS"
"""The environment variable with the folder that has settings as files."""

# The longest that anything may take: no clock of the operating system counts up to numbers such as 1e300.
_DAY_S = 86_400


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
    # Replicas of each topic that is created; without it, as many as the broker makes by default.
    replication_factor: int | None = Field(default=None, ge=1)
    # So many dead letters in a minute stop a consumer, where they are most of the records that it read.
    most_dead_letters: int = Field(default=1_000, ge=1)
    # Within so many hours a compacted topic loses what was deleted or superseded (docs/privacy.md).
    erased_within_h: float = Field(default=defaults.ERASED_WITHIN_H, ge=0.01, le=10_000)

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> KafkaSettings:
        sasl = self.security_protocol.startswith("SASL_")
        if sasl and not (self.sasl_mechanism and self.sasl_username and self.sasl_password):
            raise ValueError(f"{self.security_protocol} needs sasl_mechanism, sasl_username and sasl_password")
        return self


class DatabaseSettings(Group):
    """A PostgreSQL (with the pgvector extension) to use instead of the embedded one."""

    # It may hold a password, so it is not part of what is shown of the settings.
    url: str | None = Field(default=None, repr=False)


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
    max_size: int = Field(default=defaults.MAX_SIZE, ge=80, lt=2**31)
    threshold: float = Field(default=defaults.THRESHOLD, ge=-1_000, le=1_000)
    # Embeddings are averaged over this many slightly moved versions of each face; 0 uses the face as it is.
    jitter: int = Field(default=defaults.JITTER, ge=0, le=100)
    # Whether faces are looked for in the other three turns of a scan: where upright none is found, or always.
    turns: Literal["fallback", "never", "always"] = defaults.TURNS
    # Whether a scan without faces is searched as a negative too.
    negatives: bool = defaults.NEGATIVES
    # The smallest face wanted, in pixels of the scan; large scans are searched in tiles for it. 0: what the above find.
    min_face_px: int = Field(default=defaults.MIN_FACE_PX, ge=0, lt=2**31)
    # Seconds that a picture may take to be decoded, before its process is ended and the scan becomes a dead letter.
    decode_deadline_s: float = Field(default=defaults.DECODE_DEADLINE_S, gt=0, le=_DAY_S)
    # dlib, a preset of models/presets, or a TOML file that describes a network; docs/models.md. The paths are those of
    # the networks' files: dlib's kinds, or ONNX where a description is set.
    detector: str = defaults.MODEL
    embedder: str = defaults.MODEL
    detector_path: Path | None = None
    landmarks_path: Path | None = None
    embedder_path: Path | None = None


# Drivers of fsspec that read this machine's files, or open one uri inside of another.
_NEVER_READ = {"local", "asynclocal", "data", "reference", "generic", "git", "github", "jlab", "jupyter", "dir"} | {
    *("zip", "tar", "libarchive", "cached", "blockcache", "filecache", "simplecache")
}


class StoreSettings(Group):
    """Where scans may be read from. docs/stores.md describes what is opened and what never is."""

    # s3 takes endpoint and credentials from AWS's own variables and files. Others, such as gs, are read by the driver
    # of fsspec, whose package has to be installed.
    schemes: tuple[str, ...] = defaults.SCHEMES
    # Folders that file uris may name, as JSON: ["/scans"]. Those ingested with the same data folder are added.
    roots: tuple[Path, ...] = ()
    # Hosts and networks that http may reach at private addresses, as JSON: ["iiif.museum.lan", "10.1.0.0/16"].
    private_hosts: tuple[str, ...] = ()
    # A larger file is not read.
    max_bytes: int = Field(default=defaults.MAX_BYTES, ge=1)
    # Seconds for one scan, from the first connection to the last byte.
    deadline_s: float = Field(default=defaults.DEADLINE_S, gt=0, le=_DAY_S)
    # A file with logins for http servers, in the form of ~/.netrc.
    netrc: Path | None = None
    # Public buckets, without credentials.
    s3_anonymous: bool = False

    @field_validator("schemes")
    @classmethod
    def _no_scheme_opens_others(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        for scheme in schemes:
            if not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) or scheme.lower() in _NEVER_READ:
                raise ValueError(f"{scheme!r} cannot be allowed: it is no scheme, or one that opens other files")
        return tuple(scheme.lower() for scheme in schemes)


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
    """DBSCAN's parameters. The defaults of eps, eps_max and shared_weight depend on the distance.

    Bounds are those of a generation's parameters, which these are published as.
    """

    # Between embeddings: euclidean, or calibrated with a reference of the archive's own faces.
    distance: Literal["euclidean", "calibrated"] = defaults.DISTANCE
    # The reference's name, or builtin. Default: the one that was drawn last; where none was, the built-in one.
    reference: str | None = None
    eps: float = Field(default=defaults.EPS, gt=0)
    eps_max: float = Field(default=defaults.EPS_MAX, gt=0, le=1_000)
    min_samples: int = Field(default=defaults.MIN_SAMPLES, ge=1, lt=2**31)
    # A face below one of these is never core, but may be border. Units as in `schemas.faces`.
    min_size_px: float | None = Field(default=None, ge=-1e9, le=1e9)
    min_score: float | None = Field(default=None, ge=-1e9, le=1e9)
    min_sharpness: float | None = Field(default=None, ge=-1e9, le=1e9)
    # Two faces of one scan are neighbours only up to this distance.
    same_scan_eps: float | None = Field(default=None, ge=0, le=1_000)
    # How much nearer than eps two faces must be that share no neighbours within eps_max; 0: no evidence from them.
    shared_weight: float = Field(default=defaults.SHARED_WEIGHT, ge=0, le=1_000)
    # How many neighbours a face has at most, where shared neighbours count.
    most_neighbours: int = Field(default=defaults.MOST_NEIGHBOURS, ge=1, lt=2**31)

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

    @model_validator(mode="after")
    def _eps_max_is_largest(self) -> ClusteringSettings:
        if self.eps > self.eps_max:
            raise ValueError(f"eps {self.eps} is larger than eps_max {self.eps_max}: edges beyond eps_max are not kept")
        return self


class DeskSettings(Group):
    """The desk: the address it serves, and who may do what there. docs/access.md describes it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    # How browsers reach it, https://desk.museum.ee. Needed with a way of signing in, of which there are two below.
    url: str | None = None
    # Names of users, as JSON: ["mari", "group:archivists"]. With group: it is a value of oidc_groups_claim; "*" is
    # everyone who signed in. Who may decide may read, who may operate may do both.
    read: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    operate: tuple[str, ...] = ()
    # An OpenID Connect provider. The claims: the user's name, which authors of decisions are called by, and the groups.
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name_claim: str = "preferred_username"
    oidc_groups_claim: str = "groups"
    # Signs the cookie of who has signed in: 32 characters or more.
    session_secret: SecretStr | None = None
    # A header with the user's name, from a proxy at one of these addresses or networks, as JSON: ["10.0.0.5"].
    proxy_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    proxy_peers: tuple[IPvAnyNetwork, ...] = ()
    # Collections whose pictures and confirmed names anyone may see, as JSON: ["portraits"].
    public_collections: tuple[str, ...] = ()
    # How much the pictures kept on disk may take.
    crops_bytes: int = Field(default=defaults.CROPS_BYTES, ge=0)

    @field_validator("url", "oidc_issuer")
    @classmethod
    def _is_encrypted(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://unset")
        if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no address such as https://desk.museum.ee")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(f"{url!r} is not encrypted: it has to begin with https://")
        return url

    @field_validator("url")
    @classmethod
    def _has_no_path(cls, url: str | None) -> str | None:
        if urlsplit(url or "").path not in ("", "/"):
            raise ValueError(f"{url!r} has a path: the desk is served at a host of its own")
        return url

    @model_validator(mode="after")
    def _sign_in_is_complete(self) -> DeskSettings:
        if self.oidc_issuer and self.proxy_header:
            raise ValueError("oidc_issuer and proxy_header are two ways of signing in: set one")
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret and self.session_secret):
            raise ValueError("oidc_issuer needs oidc_client_id, oidc_client_secret and session_secret")
        # Not by a Field: its error would show the secret.
        if self.session_secret and len(self.session_secret.get_secret_value()) < 32:
            raise ValueError("session_secret has less than 32 characters")
        if bool(self.proxy_header) != bool(self.proxy_peers):
            raise ValueError("proxy_header and proxy_peers need each other")
        if self.signs_in != bool(self.url):
            raise ValueError("url and a way of signing in (oidc_issuer or proxy_header) need each other")
        return self

    @property
    def signs_in(self) -> bool:
        """Whether there is a way of signing in."""
        return bool(self.oidc_issuer or self.proxy_header)


class MetricsSettings(Group):
    """Where a process serves /metrics, /livez and /readyz. docs/metrics.md describes them."""

    host: str = "127.0.0.1"
    # Without it they are not served. `run`, `watch` and `up` give their consumers the ports after it.
    port: int | None = Field(default=None, ge=0, le=65535)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class FromEnvironment(BaseSettings):
    """What is read from the environment, and from files."""

    model_config = SettingsConfigDict(env_prefix="FACESTREAM_", env_nested_delimiter="__", frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then files. Raises UserError where these cannot be read."""
        folder = os.environ.get(SECRETS)
        if not folder:
            return init_settings, env_settings
        return init_settings, env_settings, _files(Path(folder), file_secret_settings)


class Settings(FromEnvironment):
    """All settings. Raises pydantic.ValidationError naming what is wrong."""

    data: Path = Path("data")
    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings = DatabaseSettings()
    models: ModelSettings = ModelSettings()
    stores: StoreSettings = StoreSettings()
    index: IndexSettings = IndexSettings()
    clustering: ClusteringSettings = ClusteringSettings()
    desk: DeskSettings = DeskSettings()
    metrics: MetricsSettings = MetricsSettings()


def _files(folder: Path, source: PydanticBaseSettingsSource) -> PydanticBaseSettingsSource:
    try:
        # Kubernetes has folders beside the files, whose names begin with dots.
        for path in folder.iterdir():
            if path.is_file():
                path.read_bytes()
        return NestedSecretsSettingsSource(
            source,
            secrets_dir=folder,
            secrets_prefix="FACESTREAM_",
            secrets_nested_delimiter="__",
        )
    except OSError as error:
        raise UserError(f"{SECRETS}: {error.filename or folder} cannot be read: {error.strerror}") from error
