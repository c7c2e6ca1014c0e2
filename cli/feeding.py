"""What the commands that publish scans have in common: their options, and what they report of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from cli.printing import stderr
from errors import UserError
from models.stores.parameters import ROOTS_FILE, StoreParameters
from models.stores.roots import remember
from models.stores.stores import Stores
from producers.files import UNREADABLE_SHA256, Listing
from producers.folders import SkipKind, Skipped, Unreadable, counted_by_kind, printable
from producers.identity import Outcome, Verdict
from producers.missing import Missing
from producers.patience import PatientStores
from producers.places import path_of, why_unreadable
from settings import Settings

REFUSED_CODE = 1
"""The exit status where a scan was refused, as after any error that a person can mend."""

INCOMPLETE_CODE = 3
"""The exit status where everything was done, but for files or folders that could not be read."""

_KINDS = {
    SkipKind.OTHER: "other files",
    SkipKind.HIDDEN: "hidden",
    SkipKind.SYSTEM: "system folders",
    SkipKind.EXCLUDED: "excluded",
    SkipKind.SPECIAL: "pipes, sockets or devices",
    SkipKind.TWICE: "folders reached twice",
}

# Lines of one kind at a time, unless all are asked for.
_MOST_LINES = 5

Collection = Annotated[str | None, typer.Option(help="The scans' collection.", show_default="the folder's name")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Skip files and folders of this name, such as '*_thumb.jpg' or 'drafts'; with a / of this path below the "
        "folder. Can be given several times.",
        show_default=False,
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Replace scans that have the same id and are at another place.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="List each file that is skipped, moved or a copy.")]


def feed_stores(settings: Settings, roots: Sequence[Path], stop: Event) -> PatientStores:
    """The stores that a feed reads, after remembering what was given to it. Raises UserError if that is not possible.

    Whoever detects with the same data folder may then read it, too.
    """
    parameters = StoreParameters.of(settings.stores.model_dump(), settings.data)
    try:
        remember(settings.data / ROOTS_FILE, roots)
    except OSError as error:
        # With a broker of its own, detect is elsewhere, and has the setting.
        if settings.kafka.bootstrap_servers is None:
            raise UserError(f"the data folder {settings.data} cannot be used: {error.strerror}") from error
    stores = Stores(replace(parameters, roots=(*parameters.roots, *roots)))
    return PatientStores(stores, stop, _print_line)


class FeedReport:
    """Prints to standard error what becomes of files, and counts it. It is a producers.watch.Reports.

    verbose: list everything. prints_counts: print the number of skipped files when they are reported; otherwise the
    command prints it at its end. count: is called for each scan.
    """

    def __init__(
        self, verbose: bool = False, *, prints_counts: bool = True, count: Callable[[Verdict], None] | None = None
    ) -> None:
        self._prints_counts = prints_counts
        self._count = count
        self.unreadable_count = 0
        self.refused_count = 0
        self.skipped_counts: Counter[SkipKind] = Counter()
        self._verbose = verbose
        self._noted: list[Verdict] = []

    @property
    def exit_code(self) -> int:
        """The exit status of the command."""
        if self.refused_count:
            return REFUSED_CODE
        return INCOMPLETE_CODE if self.unreadable_count else 0

    def end(self) -> None:
        """End the command, with an exit status other than 0 where something was not published."""
        if self.exit_code:
            raise typer.Exit(self.exit_code)

    def listed(self, listing: Listing) -> None:
        """Report what a listing skips, and what of it cannot be read."""
        self.skipped(listing.others)
        self.unreadable(listing.unreadable)

    def note(self, verdict: Verdict) -> None:
        """Remember what the feed did with a scan for `print_noted`, if there is something to print."""
        if self._count is not None:
            self._count(verdict)
        is_unreadable = _is_unreadable(verdict)
        self.unreadable_count += is_unreadable
        self.refused_count += verdict.outcome is Outcome.REFUSED
        if is_unreadable or verdict.copy_of is not None or verdict.outcome in (Outcome.REFUSED, Outcome.MOVED):
            self._noted.append(verdict)

    def print_noted(self) -> None:
        """Print what was noted since the last time."""
        noted, self._noted = self._noted, []
        self._print(_unreadable_line(verdict) for verdict in noted if _is_unreadable(verdict))
        self._print(_refused_line(verdict) for verdict in noted if verdict.outcome is Outcome.REFUSED)
        self._print(_moved_line(verdict) for verdict in noted if verdict.outcome is Outcome.MOVED)
        self._print(_copy_line(verdict) for verdict in noted if verdict.copy_of is not None)

    def published(self, verdicts: Sequence[Verdict]) -> None:
        """Report scans that were published together."""
        for verdict in verdicts:
            self.note(verdict)
        self.print_noted()

    def skipped(self, skipped: Sequence[Skipped]) -> None:
        """Report the number of files and folders that are skipped, by kind, and each of them if verbose."""
        counts = counted_by_kind(skipped)
        self.skipped_counts.update(counts)
        if self._verbose:
            self._print(f"skipped ({_KINDS[one.kind]}): {printable(one.path)}" for one in skipped)
        elif counts and self._prints_counts:
            _print_line(f"skipped: {_in_words(counts)}")

    @property
    def skipped_in_words(self) -> str:
        """The number of all files and folders that were skipped, by kind."""
        return _in_words(self.skipped_counts)

    def unreadable(self, unreadable: Sequence[Unreadable]) -> None:
        """Report files and folders that cannot be read."""
        self.unreadable_count += len(unreadable)
        self._print(f"cannot be read: {printable(one.path)} ({one.reason})" for one in unreadable)

    def missing(self, missing: Sequence[Missing]) -> None:
        """Report scans whose file is gone."""
        self._print(f"gone: {printable(one.path)}, the scan {printable(one.scan_id)} ({one.reason})" for one in missing)
        _print_line("the scans stay: `facestream missing` lists them, `facestream withdraw --missing` withdraws them")

    def _print(self, lines: Iterable[str]) -> None:
        left_out = 0
        for number, line in enumerate(lines):
            if self._verbose or number < _MOST_LINES:
                _print_line(line)
            else:
                left_out += 1
        if left_out:
            _print_line(f"... and {left_out:,} more of these; --verbose lists all")


def _in_words(counts: Mapping[SkipKind, int]) -> str:
    return ", ".join(f"{count:,} {_KINDS[kind]}" for kind, count in counts.items())


def _is_unreadable(verdict: Verdict) -> bool:
    return verdict.scan.sha256 == UNREADABLE_SHA256


def _place(uri: str | None) -> str:
    return printable(path_of(uri or "") or uri or "")


def _unreadable_line(verdict: Verdict) -> str:
    reason = why_unreadable(verdict.scan.uri) or "see its dead letter"
    return f"cannot be read: {_place(verdict.scan.uri)} ({reason})"


def _refused_line(verdict: Verdict) -> str:
    return (
        f"refused: {_place(verdict.scan.uri)} has the id {printable(verdict.scan.scan_id)} of the scan at "
        f"{_place(verdict.earlier_uri)}, which is another picture: publish it under another id with "
        "--collection NAME, or in the place of that one with --replace"
    )


def _moved_line(verdict: Verdict) -> str:
    return (
        f"moved: {_place(verdict.earlier_uri)} is at {_place(verdict.scan.uri)} now, "
        f"the scan {printable(verdict.scan.scan_id)}"
    )


def _copy_line(verdict: Verdict) -> str:
    original = printable(verdict.copy_of or "")
    return f"copy: {_place(verdict.scan.uri)} has the content of the scan {original}, whose file is there too"


def _print_line(line: str) -> None:
    stderr.print(line, soft_wrap=True)
