"""The shards of the index: their consumer groups, and how many of them an archive has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from settings import KafkaSettings
from stream.groups import known_groups

GROUP = "index"
"""The group of an index of one shard."""


def group_of(shard: int, shards: int) -> str:
    """The consumer group of a shard: each reads all of `faces`."""
    return GROUP if shards == 1 else f"{GROUP}-{shard}-of-{shards}"


def shards_of(groups: Iterable[str]) -> int | None:
    """The number of shards that are read by these consumer groups; None before the first."""
    matches = (re.fullmatch(rf"{GROUP}(?:-\d+-of-(\d+))?", group) for group in sorted(groups))
    return next((int(match[1] or 1) for match in matches if match), None)


def shards_known(kafka: KafkaSettings) -> int | None:
    """The number of shards of which these topics were indexed; None before the first. Raises Fatal without a broker."""
    return shards_of(known_groups(kafka))
