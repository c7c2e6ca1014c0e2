"""Reading a manifest: which scans to publish and what is known of them, as CSV or as JSON lines.

It owns the columns and their checks. `producers.files` gives scans their ids.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from errors import UserError

_CSV = ".csv"
_JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (_CSV, *_JSON_LINES)
"""The file name extensions of manifests."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Row(BaseModel):
    """One row. Columns that have no field here are free metadata. An empty cell counts as no cell.

    A value that is not text in a free column of a JSON line (a number, a list) is kept as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(init=False)

    uri: str
    scan_id: str | None = None
    collection: str | None = None
    media_type: str | None = None
    page: int | None = Field(default=None, ge=1)
    sha256: Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """The free columns, as text."""
        return dict(self.__pydantic_extra__)


def read_manifest(path: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a manifest, each with the number of its line in the file (from 1; a CSV's header is line 1).

    Raises UserError with file, line and reason at the first row that cannot be used.
    """
    read = _csv if path.suffix.lower() == _CSV else _json_lines
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save the manifest as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    for line, cells in read(path, text):
        filled = {name: value for name, value in cells.items() if value not in ("", None)}
        try:
            yield line, Row.model_validate(filled)
        except ValidationError as error:
            raise UserError(f"{path}, line {line}: {_problem(error)}") from error


def _csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = next(reader, [])
        if "uri" not in columns:
            raise UserError(f"{path}, line 1: no column uri; the columns are: {', '.join(columns) or 'none'}")
        if len(set(columns)) < len(columns):
            raise UserError(f"{path}, line 1: two columns have the same name; they are: {', '.join(columns)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise UserError(f"{path}, line {reader.line_num}: {len(cells)} cells, the header has {len(columns)}")
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error


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


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    column = first["loc"][0] if first["loc"] else "row"
    if first["type"] == "missing":
        return f"no {column}"
    if column == "sha256":
        return f"sha256: 64 hexadecimal digits are needed, not {first['input']!r}"
    return f"{column}: {first['msg']}, not {first['input']!r}"
