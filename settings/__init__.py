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
    """Addresses of the broker, `host:port`, with commas between them. Default: the embedded broker."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the broker is spoken to: encrypted (SSL), with a password (SASL)."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How the password is checked. Needed with SASL."""
    sasl_username: str | None = None
    """The user of the broker. Needed with SASL."""
    sasl_password: SecretStr | None = None
    """The user's password. Needed with SASL."""
    ssl_cafile: Path | None = None
    """A PEM file with the certificates by which the broker's is checked. Default: those of the system."""
    ssl_certfile: Path | None = None
    """A PEM file with a certificate by which the broker knows this client."""
    ssl_keyfile: Path | None = None
    """The private key of that certificate, a PEM file."""
    ssl_password: SecretStr | None = None
    """The password of that key, where it has one."""
    replication_factor: int | None = Field(default=None, ge=1)
    """Replicas of each topic that is created. Default: as many as the broker makes by itself."""
    most_dead_letters: int = Field(default=1_000, ge=1)
    """So many dead letters in a minute stop a consumer, where they are most of the records that it read."""
    erased_within_h: float = Field(default=defaults.ERASED_WITHIN_H, ge=0.01, le=10_000)
    """Within so many hours a compacted topic loses what was deleted or superseded (privacy.md)."""

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
    """Its address, `postgresql://user:password@host/database`. Default: the embedded PostgreSQL."""


class ModelSettings(Group):
    """The face engines. Weight files default to those of the face_recognition_models wheel."""

    engine: Literal["onnx", "dlib"] = defaults.ENGINE
    """onnx runs dlib's networks on ONNX Runtime: the same faces, many times faster."""
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = defaults.PROVIDER
    """Where ONNX Runtime computes; auto is CUDA if ONNX Runtime for CUDA is installed, else the processor."""
    processes: int | None = Field(default=None, ge=1)
    """Worker processes of one detect consumer, each with the networks loaded. Default: one for each core, at most 8; on
    an accelerator, one."""
    upsample: int = Field(default=defaults.UPSAMPLE, ge=0, le=3)
    """How often a scan is doubled before detection: 1 finds faces from about 40 pixels on."""
    max_size: int = Field(default=defaults.MAX_SIZE, ge=80, lt=2**31)
    """Longer side in pixels; larger scans are scaled down to it for detection."""
    threshold: float = Field(default=defaults.THRESHOLD, ge=-1_000, le=1_000)
    """The score above which a detection is a face: a higher one finds fewer."""
    jitter: int = Field(default=defaults.JITTER, ge=0, le=100)
    """Embeddings are averaged over this many slightly moved versions of each face; 0 uses the face as it is."""
    turns: Literal["fallback", "never", "always"] = defaults.TURNS
    """Whether faces are looked for in the other three turns of a scan: where upright none is found, or always."""
    negatives: bool = defaults.NEGATIVES
    """Whether a scan without faces is searched as a negative too."""
    min_face_px: int = Field(default=defaults.MIN_FACE_PX, ge=0, lt=2**31)
    """The smallest face wanted, in pixels of the scan; large scans are searched in tiles for it. 0: what `MAX_SIZE` and
    `UPSAMPLE` find."""
    decode_deadline_s: float = Field(default=defaults.DECODE_DEADLINE_S, gt=0, le=_DAY_S)
    """Seconds that a picture may take to be decoded, before its process is ended and the scan becomes a dead letter."""
    detector: str = defaults.MODEL
    """The network that finds faces: dlib, a preset, or a TOML file that describes one (models.md)."""
    embedder: str = defaults.MODEL
    """The network that faces are compared by: dlib, a preset, or a TOML file that describes one (models.md)."""
    detector_path: Path | None = None
    """The detector's file, of dlib's kind, or ONNX where a description is set. Default: that of the wheel or of the
    description."""
    landmarks_path: Path | None = None
    """The file of dlib's shape predictor, with five landmarks. Default: that of the wheel."""
    embedder_path: Path | None = None
    """The embedder's file, of dlib's kind, or ONNX where a description is set. Default: that of the wheel or of the
    description."""


# Drivers of fsspec that read this machine's files, or open one uri inside of another.
_NEVER_READ = {"local", "asynclocal", "data", "reference", "generic", "git", "github", "jlab", "jupyter", "dir"} | {
    *("zip", "tar", "libarchive", "cached", "blockcache", "filecache", "simplecache")
}


class StoreSettings(Group):
    """Where scans may be read from. docs/stores.md describes what is opened and what never is."""

    schemes: tuple[str, ...] = defaults.SCHEMES
    """Which uris are read. s3 takes endpoint and credentials from AWS's own variables and files; others, such as gs,
    are read by the driver of fsspec, whose package has to be installed."""
    roots: tuple[Path, ...] = ()
    """Folders that file uris may name, `["/scans"]`. Those ingested with the same data folder are added."""
    private_hosts: tuple[str, ...] = ()
    """Hosts and networks that http may reach at private addresses, `["iiif.museum.lan", "10.1.0.0/16"]`."""
    max_bytes: int = Field(default=defaults.MAX_BYTES, ge=1)
    """A file of more bytes is not read."""
    deadline_s: float = Field(default=defaults.DEADLINE_S, gt=0, le=_DAY_S)
    """Seconds for one scan, from the first connection to the last byte."""
    netrc: Path | None = None
    """A file with logins for http servers, in the form of `~/.netrc`."""
    s3_anonymous: bool = False
    """Whether S3 is read without credentials, for public buckets."""

    @field_validator("schemes")
    @classmethod
    def _no_scheme_opens_others(cls, schemes: tuple[str, ...]) -> tuple[str, ...]:
        for scheme in schemes:
            if not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme) or scheme.lower() in _NEVER_READ:
                raise ValueError(f"{scheme!r} cannot be allowed: it is no scheme, or one that opens other files")
        return tuple(scheme.lower() for scheme in schemes)


class IndexSettings(Group):
    """The range search."""

    exact_below: int = Field(default=defaults.EXACT_BELOW, ge=0)
    """Up to this many faces the search is exact."""
    m: int = Field(default=defaults.M, ge=2)
    """How many links HNSW gives each face: with more it misses less, and takes more memory."""
    ef_construction: int = Field(default=defaults.EF_CONSTRUCTION, ge=8)
    """How many candidates HNSW looks at where it links a new face: with more it misses less, and adds faces slower."""
    ef: int = Field(default=defaults.EF, ge=1)
    """How many candidates a search keeps at least: with more it misses less. It may change between runs."""
    seed: int = defaults.SEED
    """What HNSW's random numbers begin with."""


class ClusteringSettings(Group):
    """DBSCAN's parameters. The defaults of eps, eps_max and shared_weight depend on the distance.

    Bounds are those of a generation's parameters, which these are published as.
    """

    distance: Literal["euclidean", "calibrated"] = defaults.DISTANCE
    """Between embeddings: Euclidean, or calibrated with a reference of the archive's own faces."""
    reference: str | None = None
    """The reference's name, or builtin. Default: the one that was drawn last; where none was, the built-in one."""
    eps: float = Field(default=defaults.EPS, gt=0)
    """The largest distance of two neighbours. By Euclidean distance the default is 0.37, or what the embedder's
    description says."""
    eps_max: float = Field(default=defaults.EPS_MAX, gt=0, le=1_000)
    """The largest distance that is searched and published, so the largest eps that can be looked at. By Euclidean
    distance the default is 0.5, or what the embedder's description says."""
    min_samples: int = Field(default=defaults.MIN_SAMPLES, ge=1, lt=2**31)
    """How many faces within eps make a core, the face itself included."""
    min_size_px: float | None = Field(default=None, ge=-1e9, le=1e9)
    """A smaller face, in pixels of the scan, is never core, but may be border."""
    min_score: float | None = Field(default=None, ge=-1e9, le=1e9)
    """A face that the detector gave a lower score is never core, but may be border."""
    min_sharpness: float | None = Field(default=None, ge=-1e9, le=1e9)
    """A less sharp face is never core, but may be border."""
    same_scan_eps: float | None = Field(default=None, ge=0, le=1_000)
    """Two faces of one scan are neighbours only up to this distance."""
    shared_weight: float = Field(default=defaults.SHARED_WEIGHT, ge=0, le=1_000)
    """How much nearer than eps two faces must be that share no neighbours within `EPS_MAX`; 0: no evidence from them.
    By Euclidean distance the default is 0."""
    most_neighbours: int = Field(default=defaults.MOST_NEIGHBOURS, ge=1, lt=2**31)
    """How many neighbours a face has at most, where shared neighbours count."""

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
    """The address that it is served at."""
    port: int = Field(default=8000, ge=1, le=65535)
    """The port that it is served at."""
    url: str | None = None
    """How browsers reach it, `https://desk.museum.ee`. Needed with a way of signing in (`OIDC_ISSUER` or
    `PROXY_HEADER`)."""
    read: tuple[str, ...] = ()
    """Who may read: names of users, `["mari", "group:archivists"]`. After `group:` is a value of `OIDC_GROUPS_CLAIM`;
    `"*"` is everyone who signed in."""
    decide: tuple[str, ...] = ()
    """Who may decide, and so read."""
    operate: tuple[str, ...] = ()
    """Who may see what operators see, and read and decide."""
    oidc_issuer: str | None = None
    """The address of an OpenID Connect provider, where users sign in."""
    oidc_client_id: str | None = None
    """What the provider calls the desk. Needed with `OIDC_ISSUER`."""
    oidc_client_secret: SecretStr | None = None
    """The secret that the provider gave the desk. Needed with `OIDC_ISSUER`."""
    oidc_name_claim: str = "preferred_username"
    """The claim with the user's name, which authors of decisions are called by."""
    oidc_groups_claim: str = "groups"
    """The claim with the user's groups."""
    session_secret: SecretStr | None = None
    """Signs the cookie of who has signed in: 32 characters or more. Needed with `OIDC_ISSUER`."""
    proxy_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    """The header in which a proxy passes the user's name. Needs `PROXY_PEERS`."""
    proxy_peers: tuple[IPvAnyNetwork, ...] = ()
    """Addresses and networks of that proxy, `["10.0.0.5"]`: from others the header is refused."""
    public_collections: tuple[str, ...] = ()
    """Collections whose pictures and confirmed names anyone may see, `["portraits"]`."""
    crops_bytes: int = Field(default=defaults.CROPS_BYTES, ge=0)
    """How many bytes the pictures that are kept on disk may take."""

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
    """The address that they are served at."""
    port: int | None = Field(default=None, ge=0, le=65535)
    """The port; without it they are not served. `run`, `watch` and `up` give their consumers the ports after it."""


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
    """The folder of the embedded services and of what is remembered, as `--data`."""
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
