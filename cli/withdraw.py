"""`facestream withdraw`: withdraw scans, with all their faces."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cli.archive import open_archive
from cli.common import load_settings, now
from cli.missing import warn_of_drives
from cli.options import Data
from cli.printing import console, print_line
from errors import UserError
from producers.feed import Feed
from producers.missing import Missing, missing_scans

# Folders that are listed before the question.
_MOST_FOLDERS = 10


def withdraw(
    scan_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCAN_ID]...", help="The scans' ids, as `similar` and `clusters` print them."),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="All scans whose file is gone: `facestream missing` lists them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --missing: do not ask.")] = False,
    data: Data = None,
) -> None:
    """Withdraw scans. The consumers remove their faces from the clusters and from every topic and table.

    The pictures themselves stay where they are, and publishing them again restores their scans.
    """
    if missing == bool(scan_ids):
        raise UserError("name the scans to withdraw: their ids, or --missing alone")
    with (
        open_archive(load_settings(data), "withdraw", database=False) as running,
        Feed(running.kafka, now, running.data) as feed,
    ):
        chosen = _missing(feed, asks=not yes) if missing else scan_ids or []
        feed.withdraw(chosen)
    console.print(f"scans withdrawn: {len(set(chosen)):,}")


def _missing(feed: Feed, asks: bool) -> list[str]:
    """The scans whose file is gone, after they were shown. Raises UserError if the answer is no."""
    scans = missing_scans(feed.known)
    warn_of_drives(scans)
    if scans.missing:
        _show(scans.missing)
        if asks and not typer.confirm(f"withdraw these {len(scans.missing):,} scans with all their faces?", err=True):
            raise UserError("nothing was withdrawn")
    return [scan.scan_id for scan in scans.missing]


def _show(scans: list[Missing]) -> None:
    folders = Counter(str(Path(scan.path).parent) for scan in scans)
    print_line(f"scans whose file is gone: {len(scans):,}")
    for folder, count in folders.most_common(_MOST_FOLDERS):
        print_line(f"  {count:,} of {folder}")
    if len(folders) > _MOST_FOLDERS:
        print_line(f"  and of {len(folders) - _MOST_FOLDERS:,} more folders")
