"""What may be read, and for how long: the rules of all stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from schemas import defaults

ROOTS_FILE = "roots.jsonl"
"""The name of the file in the data folder that holds the ingested folders."""


@dataclass(frozen=True)
class StoreParameters:
    """Which scans may be read.

    schemes: the allowed schemes. roots: folders, or single files, that `file` uris may name; roots_file: a file with
    more of them, see `models.stores.roots`. private_hosts: hosts (as a uri names them) and networks (as 10.0.0.0/8)
    that http may reach although their addresses are private; "*" is all. max_bytes: the size of the largest scan.
    deadline_s: how long one fetch may take. netrc: logins for http. s3_anonymous: S3 without credentials.
    """

    schemes: tuple[str, ...] = defaults.SCHEMES
    roots: tuple[Path, ...] = ()
    roots_file: Path | None = None
    private_hosts: tuple[str, ...] = ()
    max_bytes: int = defaults.MAX_BYTES
    deadline_s: float = defaults.DEADLINE_S
    netrc: Path | None = None
    s3_anonymous: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any], data: Path) -> Self:
        """The parameters of a group of settings, with the folders that were ingested with this data folder."""
        return cls(**settings, roots_file=data.resolve() / ROOTS_FILE)
