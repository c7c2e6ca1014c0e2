"""`facestream missing`: the scans whose file is gone."""

from __future__ import annotations

from collections import Counter

from rich.table import Table

from cli.archive import open_archive
from cli.common import load_settings
from cli.options import Data, Json
from cli.printing import console, folded, print_line, print_rows, stderr
from producers.folders import printable
from producers.known import known_scans
from producers.missing import Missings, missing_scans


def missing(data: Data = None, json_: Json = False) -> None:
    """The scans whose file is gone, and what is at its place. Nothing is withdrawn.

    A file that was moved is found again when its new folder is published: ingest it before anything is withdrawn. Scans
    in other stores than the files of this machine are not looked at.
    """
    with (
        open_archive(load_settings(data), "missing", database=False) as running,
        known_scans(running.kafka, running.data) as known,
    ):
        scans = missing_scans(known)
    warn_of_drives(scans)
    if json_:
        print_rows(scans.missing)
        return
    table = Table(
        folded("scan"), folded("file"), "what is there", title=f"Scans whose file is gone: {len(scans.missing):,}"
    )
    for scan in scans.missing:
        table.add_row(printable(scan.scan_id), scan.path, scan.reason)
    console.print(table)
    if scans.missing:
        print_line(
            "files that were moved keep their scans: facestream ingest FOLDER, with their new folder; "
            "the others are withdrawn with: facestream withdraw --missing"
        )
    if scans.elsewhere:
        print_line(f"scans in other stores, which are not looked at: {scans.elsewhere:,}")


def warn_of_drives(scans: Missings) -> None:
    """Print to standard error how many scans cannot be looked at, with the reasons."""
    for reason, count in Counter(scan.reason for scan in scans.away).items():
        stderr.print(
            f"not counted as gone: {count:,} scans ({reason})",
            soft_wrap=True,
        )
