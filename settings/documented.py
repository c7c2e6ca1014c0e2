"""docs/settings.md, written from the settings: `make contract`.

The text of each setting is the docstring below its field, which Python does not keep: it is read from the source.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

import settings
from settings import SECRETS, Group, Settings

_TITLES = {
    "kafka": "Kafka",
    "database": "PostgreSQL",
    "models": "The networks",
    "stores": "Stores",
    "index": "The index",
    "clustering": "Clustering",
    "desk": "The desk",
    "metrics": "Metrics",
}
_TYPES = {
    bool: "true or false",
    float: "number",
    int: "whole number",
    str: "text",
    Path: "path",
    SecretStr: "text, secret",
    IPvAnyNetwork: "address or network",
}
_BOUNDS = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
# Larger ones keep numbers to what databases hold, and nobody meets them.
_LARGEST_BOUND = 1e9
_HEAD = "| variable | value | default | what it sets |\n|---|---|---|---|\n"

_INTRODUCTION = f"""\
# Settings

<!-- Written by settings/documented.py (make contract): change the docstrings in settings/__init__.py. -->

All settings are environment variables. A list is JSON: `["one", "two"]`. What is set wrongly is refused in one line
that names the variable. Secrets may be files instead, of the same names, in the folder that `{SECRETS}` names; what the
environment has comes first. The README has the most common ones with examples.
"""
_OTHERS = f"""\
## Others

| variable | what it sets |
|---|---|
| `{SECRETS}` | A folder that has settings as files, as Docker and Kubernetes mount secrets (scale.md). |
| `FACESTREAM_AUTHOR` | Who decides, where a command is given no `--author`. Default: the login name. |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | Where spans go to (metrics.md). Default: nowhere. |
| `ORT_DISABLE_TELEMETRY` | 0 turns ONNX Runtime's own telemetry on, which is off. |
"""


def page() -> str:
    """The text of docs/settings.md."""
    parts = [_INTRODUCTION, _table(Settings, "FACESTREAM_")]
    for name, field in Settings.model_fields.items():
        if (group := _group(field)) is not None:
            introduction = " ".join((group.__doc__ or "").split())
            parts.append(f"## {_TITLES[name]}\n\n{_linked(introduction)}\n")
            parts.append(_table(group, f"FACESTREAM_{name.upper()}__"))
    parts.append("\n".join(map(_linked, _OTHERS.split("\n"))))
    return "\n".join(parts)


def _type(field: FieldInfo) -> Any:  # noqa: ANN401
    """A field's type, without None."""
    kinds = get_args(field.annotation)
    return next(kind for kind in kinds if kind is not NoneType) if NoneType in kinds else field.annotation


def _table(model: type[BaseModel], prefix: str) -> str:
    rows = [
        f"| `{prefix}{name.upper()}` | {_values(field)} | {_default(getattr(_unset(model), name))} "
        f"| {_text(model, name)} |\n"
        for name, field in model.model_fields.items()
        if _group(field) is None
    ]
    return _HEAD + "".join(rows)


def _group(field: FieldInfo) -> type[Group] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Group) else None


@cache
def _unset(model: type[BaseModel]) -> BaseModel:
    """The model where nothing is set, whatever the environment has."""
    return model.model_construct() if model is Settings else model()


def _values(field: FieldInfo) -> str:
    kind = _type(field)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        (one, _) = get_args(kind)
        return f"list of {_TYPES[one].replace('address', 'addresses')}s"
    return ", ".join([_TYPES[kind], *_bounds(field)])


def _bounds(field: FieldInfo) -> Iterator[str]:
    for name, words in _BOUNDS.items():
        for bound in field.metadata:
            if (value := getattr(bound, name, None)) is not None and abs(value) < _LARGEST_BOUND:
                yield words.format(_number(value))


def _number(value: float) -> str:
    return f"{value:.10g}"


def _default(value: object) -> str:
    """As it would be set; empty where it is none."""
    if value is None:
        return ""
    if isinstance(value, bool | tuple):
        return f"`{json.dumps(value)}`"
    return f"`{_number(value)}`" if isinstance(value, int | float) else f"`{value}`"


def _text(model: type[BaseModel], name: str) -> str:
    """The docstring of a field, in one line. Raises LookupError where it has none."""
    return _linked(" ".join(_docstrings()[model.__name__, name].split())).replace("|", "\\|")


def _linked(text: str) -> str:
    """The same with links to the pages of this documentation that it names."""
    words = (word.replace("docs/", "") for word in text.split(" "))
    return " ".join(_link(word) for word in words)


def _link(word: str) -> str:
    before, page, after = word.partition(".md")
    name = before.lstrip("(")
    return f"{before.removesuffix(name)}[{name}{page}]({name}{page}){after}" if page else word


@cache
def _docstrings() -> dict[tuple[str, str], str]:
    """The docstring of each field by its class and name."""
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    return {
        (model.name, field.target.id): below.value.value
        for model in tree.body
        if isinstance(model, ast.ClassDef)
        for field, below in zip(model.body, model.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
