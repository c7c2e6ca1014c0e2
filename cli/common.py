"""Settings with a command's options, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from errors import UserError
from settings import Settings


def load_settings(data: Path | None = None, **groups: dict[str, Any]) -> Settings:
    """The settings of the environment, overridden by a command's options. Raises UserError."""
    try:
        settings = Settings()
        chosen = settings.model_dump()
        if data is not None:
            chosen["data"] = data
        for group, options in groups.items():
            chosen[group] |= {name: value for name, value in options.items() if value is not None}
        return Settings.model_validate(chosen)
    except SettingsError as error:
        # A group that is set by one variable. The error names its field in quotes.
        _, field, *_ = str(error).split('"')
        raise UserError(f"FACESTREAM_{field.upper()}: not JSON ({error.__cause__})") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = "FACESTREAM_" + "__".join(str(part).upper() for part in problem["loc"])
        group, *names = map(str, problem["loc"])
        if names and groups.get(group, {}).get(names[0]) is not None:
            where = "--" + names[0].replace("_", "-")
        given = f", not {problem['input']!r}" if isinstance(problem["input"], str | int | float) else ""
        raise UserError(f"{where}: {problem['msg'].removeprefix('Value error, ')}{given}") from error


def now() -> datetime:
    """The clock, passed to whatever needs one."""
    return datetime.now(UTC)
