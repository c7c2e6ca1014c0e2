"""The commands: name, function, and panel in `facestream --help`, in the order of that help.

Nothing here imports a command. A command's help line is the first paragraph of its function's docstring, read from the
source.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_PANELS = {
    "Everything on this machine": {"run": "run:run", "watch": "run:watch", "up": "run:up"},
    "In the browser": {"desk": "desk:desk"},
    "The feed": {
        "ingest": "ingest:ingest",
        "missing": "missing:missing",
        "withdraw": "withdraw:withdraw",
        "reanalyse": "reanalyse:reanalyse",
    },
    "Personal data": {"erase": "erase:erase", "export": "export:export"},
    "What was found": {
        "status": "status:status",
        "clusters": "clusters:clusters",
        "similar": "similar:similar",
        "sweep": "sweep:sweep",
        "evaluate": "evaluate:evaluate",
        "profile": "profile:profile",
        "audit": "audit:audit",
        "calibrate": "calibrate:calibrate",
        "export-faces": "export_faces:export_faces",
        "dead-letters": "dead_letters:dead_letters",
        "trace": "trace:trace",
        "topics": "topics:topics",
    },
    "Generations": {
        "replay": "replay:replay",
        "generations": "generations:generations",
        "compare": "compare:compare",
        "promote": "promote:promote",
        "rollback": "promote:rollback",
        "retire": "retire:retire",
    },
    "Names": {
        "label": "label:label",
        "unlabel": "label:unlabel",
        "reject": "label:reject",
        "not-sure": "label:not_sure",
        "not-a-face": "label:not_a_face",
        "link": "link:link",
        "separate": "link:separate",
        "undo": "undo:undo",
        "history": "history:history",
        "show": "show:show",
        "people": "people:people",
        "suggest": "suggest:suggest",
        "candidates": "candidates:candidates",
        "next": "next:next_",
        "orphans": "orphans:orphans",
    },
    "One consumer (they run together under `run`)": {
        "detect": "consume:detect",
        "index": "consume:index",
        "cluster": "consume:cluster",
        "catalogue": "consume:catalogue",
    },
}
"""Panel to command to `module:function`, the module in this package."""

_BELOW = {
    "people": {"rename": "people:rename", "merge": "people:merge", "remove": "people:remove"},
    "dead-letters": {
        "list": "dead_letters:list_",
        "show": "dead_letters:show",
        "retry": "dead_letters:retry",
        "drop": "dead_letters:drop",
    },
}
"""Command to the commands below it."""


@dataclass(frozen=True)
class Entry:
    """A command and its function, as `module:function`. `commands`: further ones below it, in the same form."""

    name: str
    target: str
    panel: str
    commands: Mapping[str, str]

    def load(self) -> Callable[..., Any]:
        """Import the command's function."""
        return _function(self.target)

    def load_commands(self) -> dict[str, Callable[..., Any]]:
        """Import the functions of the commands below it."""
        return {name: _function(target) for name, target in self.commands.items()}

    def help(self) -> str:
        """The docstring of the command's function, without importing its module."""
        module, function = self.target.split(":")
        source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return ast.get_docstring(node) or ""
        raise LookupError(f"cli.{module} has no function {function}")


def _function(target: str) -> Callable[..., Any]:
    module, function = target.split(":")
    loaded: Callable[..., Any] = getattr(import_module(f"cli.{module}"), function)
    return loaded


COMMANDS = {
    name: Entry(name, target, panel, _BELOW.get(name, {}))
    for panel, commands in _PANELS.items()
    for name, target in commands.items()
}
"""Each command by its name."""
