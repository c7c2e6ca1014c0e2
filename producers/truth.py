"""Reading a truth file: which person is on which scan, as TSV, CSV or JSON lines.

It owns the columns, their checks, and which scan of the archive a row means. `evaluation.truth` finds the faces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from errors import UserError
from evaluation.truth import TruthRow
from producers.files import absolute
from producers.folders import printable
from producers.row_files import CSV, JSON_LINES, TSV, read_rows

SUFFIXES = (TSV, CSV, *JSON_LINES)
"""The file name extensions of truth files."""

_NOBODY = "-"
"""A row about a picture whose people are unknown."""


class _Row(BaseModel):
    """One row. Columns that have no field here are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identity: str
    path: str | None = None
    scan_id: str | None = None
    face_id: str | None = None
    x: float | None = Field(default=None, ge=0, le=1)
    y: float | None = Field(default=None, ge=0, le=1)

    @field_validator("path", "scan_id", "face_id")
    @classmethod
    def _has_no_nul(cls, text: str | None) -> str | None:
        # The database takes none.
        if text is not None and "\0" in text:
            raise ValueError("no name has a NUL in it")
        return text


@dataclass(frozen=True)
class NamedScan:
    """A row of a truth file, and the scan that it means: by its id, or by a path, as uri and as the feed's scan id."""

    row: TruthRow
    uri: str | None
    scan_ids: tuple[str, ...]


def read_truth(path: Path) -> list[NamedScan]:
    """The rows that name a person. `path` is taken from the folder of the file, as in a manifest.

    Raises UserError with file, line and reason at the first row that cannot be used.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{printable(path)}: the name of a truth file ends with {', '.join(SUFFIXES)}")
    rows = [_named_scan(path, line, row) for line, row in _rows(path) if row.identity.strip() not in ("", _NOBODY)]
    if not rows:
        raise UserError(f"{printable(path)}: no row names a person")
    return rows


def _rows(path: Path) -> Iterable[tuple[int, _Row]]:
    for line, cells in read_rows(path, needed=("identity",)):
        if "identity" not in cells:
            continue
        try:
            row = _Row.model_validate(cells)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            column = problem["loc"][0] if problem["loc"] else "row"
            text = problem["msg"].removeprefix("Value error, ")
            raise UserError(f"{path}, line {line}: {column}: {text}, not {problem['input']!r}") from error
        if row.path is None and row.scan_id is None and row.face_id is None:
            raise UserError(f"{path}, line {line}: no scan; name it in a column path, scan_id or face_id")
        if (row.x is None) != (row.y is None):
            raise UserError(f"{path}, line {line}: x and y go together: a point on the face, each from 0 to 1")
        yield line, row


def _named_scan(path: Path, line: int, row: _Row) -> NamedScan:
    point = None if row.x is None or row.y is None else (row.x, row.y)
    name = row.scan_id or row.path or row.face_id or ""
    truth = TruthRow(line, unicodedata.normalize("NFC", row.identity.strip()), name, face_id=row.face_id, point=point)
    if row.scan_id is not None:
        return NamedScan(truth, None, (row.scan_id,))
    if row.path is None:
        return NamedScan(truth, None, ())
    try:
        file = absolute(path.parent / row.path)
        uri = file.as_uri()
    except ValueError as error:
        raise UserError(f"{path}, line {line}: path: {error}") from error
    return NamedScan(truth, uri, (row.path, f"{absolute(path.parent).name}/{row.path}"))


def with_scan_ids(
    path: Path, named: Sequence[NamedScan], scan_ids: Iterable[str], at_uri: Mapping[str, Sequence[str]]
) -> list[TruthRow]:
    """The rows with the scans' ids, as far as these are known.

    scan_ids: those of the rows that are in the archive. at_uri: the scans at the rows' uris. Raises UserError where a
    row means one of several pages of a file.
    """
    existing = set(scan_ids)
    rows = []
    for it in named:
        at_place = at_uri.get(it.uri, ()) if it.uri is not None else ()
        if len(at_place) > 1:
            raise UserError(
                f"{path}, line {it.row.line}: {it.row.scan} has {len(at_place)} pages in the archive: name one in a "
                f"column scan_id, {min(at_place)} for example"
            )
        found = [*at_place, *(scan_id for scan_id in it.scan_ids if scan_id in existing)]
        rows.append(TruthRow(**{**vars(it.row), "scan_id": found[0] if found else None}))
    return rows
