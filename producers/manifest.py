"""Reading a manifest: which scans to publish and what is known of them, as CSV or as JSON lines.

It owns the columns and their checks; `producers.row_files` reads the file, `producers.files` gives scans their ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from errors import UserError
from producers.row_files import CSV, JSON_LINES, read_rows

SUFFIXES = (CSV, *JSON_LINES)
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
    for line, cells in read_rows(path, needed=("uri",)):
        try:
            yield line, Row.model_validate(cells)
        except ValidationError as error:
            raise UserError(f"{path}, line {line}: {_problem(error)}") from error


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    column = first["loc"][0] if first["loc"] else "row"
    if first["type"] == "missing":
        return f"no {column}"
    if column == "sha256":
        return f"sha256: 64 hexadecimal digits are needed, not {first['input']!r}"
    return f"{column}: {first['msg']}, not {first['input']!r}"
