"""Files with a row for each thing that a person lists: CSV, TSV (tabs, nothing quoted) and JSON lines, as UTF-8.

It owns how rows are read and what is wrong with a file as such; `manifest` and `truth` own the columns.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from errors import UserError
from producers.folders import printable

CSV = ".csv"
TSV = ".tsv"
JSON_LINES = (".jsonl", ".ndjson")

# What is shown of a header that lacks a column.
_MOST, _LONGEST = 20, 60


def read_rows(path: Path, needed: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows of a file, each with the number of its line (from 1; a header is line 1), without empty cells.

    The kind is that of the file name's extension: CSV, TSV, else JSON lines. needed: columns that a header must have.
    Raises UserError with file, line and reason at the first row that cannot be used.
    """
    suffix = path.suffix.lower()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise UserError(f"{printable(path)}, line {line}: not UTF-8; save the file as UTF-8") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{printable(path)}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    rows = _table(path, text, suffix == TSV, needed) if suffix in (CSV, TSV) else _json_lines(path, text)
    for line, cells in rows:
        yield line, {name: value for name, value in cells.items() if value not in ("", None)}


def _table(path: Path, text: str, is_tsv: bool, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, object]]]:
    if is_tsv:
        reader = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        hint = " (in a TSV, tabs separate columns; name a file with commas .csv)"
    else:
        hint = ""
        reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = next(reader, [])
        for name in needed:
            if name not in columns:
                raise UserError(f"{path}, line 1: no column {name}; the columns are: {_listed(columns)}{hint}")
        if len(set(columns)) < len(columns):
            raise UserError(f"{path}, line 1: two columns have the same name; they are: {_listed(columns)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise UserError(f"{path}, line {reader.line_num}: {len(cells)} cells, the header has {len(columns)}")
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        kind = "TSV" if is_tsv else "CSV"
        raise UserError(f"{path}, line {reader.line_num}: not {kind} ({error})") from error


def _listed(columns: Sequence[str]) -> str:
    """Column names in one line, which a file of another kind may have of any length."""
    names = [printable(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…") for name in columns[:_MOST]]
    return ", ".join(names + ["…"] * (len(columns) > _MOST)) or "none"


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    # Not splitlines(): it also splits at characters that JSON allows in a text.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            cells = json.loads(content)
            json.dumps(cells, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {line}: not JSON ({error.msg}, column {error.colno})") from error
        except UnicodeEncodeError as error:
            raise UserError(f"{path}, line {line}: holds half a character, which is not text ({error})") from error
        if not isinstance(cells, dict):
            raise UserError(f'{path}, line {line}: not a JSON object, such as {{"uri": "page1.jpg"}}')
        yield line, cells
