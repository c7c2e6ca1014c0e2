"""The container for development, as far as it can be held to account without a container engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / ".devcontainer"


def test_what_it_is_built_from_is_there() -> None:
    build = json.loads((_FOLDER / "devcontainer.json").read_text())["build"]
    copied = re.findall(r"^COPY (\S+) ", (_FOLDER / build["dockerfile"]).read_text(), re.MULTILINE)
    assert copied == ["prerequisites.sh"]
    assert (_FOLDER / build["context"] / copied[0]).is_file()


def test_its_user_is_made() -> None:
    user = json.loads((_FOLDER / "devcontainer.json").read_text())["remoteUser"]
    assert re.search(rf"^RUN useradd .*\b{user}$", (_FOLDER / "Dockerfile").read_text(), re.MULTILINE)
