"""`facestream withdraw`: take scans back, with all their faces."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.common import Data, archive, console, load_settings, now
from producers.feed import Feed
from stream.topics import ensure_topics


def withdraw(
    scan_ids: Annotated[
        list[str], typer.Argument(metavar="SCAN_ID...", help="The scans' ids, as `similar` and `clusters` print them.")
    ],
    data: Data = None,
) -> None:
    """Take scans back. Their faces leave the clusters, and every topic and table, as the consumers come to it.

    The pictures themselves stay where they are, and publishing them again brings their scans back.
    """
    with archive(load_settings(data), database=False, command="withdraw") as settings:
        ensure_topics(settings.kafka)
        with Feed(settings.kafka, now) as feed:
            feed.withdraw(scan_ids)
    console.print(f"scans withdrawn: {len(set(scan_ids)):,}", highlight=False)
