"""`facestream withdraw`: withdraw scans, with all their faces."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.options import Data
from cli.printing import console
from producers.feed import Feed


def withdraw(
    scan_ids: Annotated[
        list[str], typer.Argument(metavar="SCAN_ID...", help="The scans' ids, as `similar` and `clusters` print them.")
    ],
    data: Data = None,
) -> None:
    """Withdraw scans. The consumers remove their faces from the clusters and from every topic and table.

    The pictures themselves stay where they are, and publishing them again restores their scans.
    """
    with (
        open_archive(load_settings(data), "withdraw", database=False) as running,
        Feed(running.kafka, now) as feed,
    ):
        feed.withdraw(scan_ids)
    console.print(f"scans withdrawn: {len(set(scan_ids)):,}", highlight=False)
