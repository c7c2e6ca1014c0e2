"""`make audit`: asks osv.dev whether the locked versions in requirements/ have known vulnerabilities.

uv asks it, of a lock file of its own form. It is made here from requirements/dev.txt, which has all of the product too,
so that nothing has to be resolved, and nothing but osv.dev to be reached. Exit status: 0 if none is known, 1 if some
are, 2 if osv.dev does not answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

LOCKED = Path(__file__).parents[1] / "requirements" / "dev.txt"

_PROJECT = '[project]\nname = "audited"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = {names}\n'
_LOCK = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
_ROOT = '\n[[package]]\nname = "audited"\nversion = "0"\nsource = {{ virtual = "." }}\ndependencies = [{names}]\n'
# Nothing is fetched from the registry; it only has to have an address.
_PACKAGE = (
    '\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://index.invalid/simple" }}\n'
)


class ServiceAway(Exception):
    """osv.dev does not answer. The text is one line."""


def known_vulnerabilities(locked: Path, service: str | None = None) -> list[str]:
    """A line for each known vulnerability of a package in this file. service: another address than that of osv.dev.

    Raises ServiceAway.
    """
    pins = sorted(set(_pins(locked)))
    with tempfile.TemporaryDirectory() as folder:
        # Of a package that is locked in several versions, for several Pythons, each is asked for in a lock of its own.
        found: set[str] = set()
        while pins:
            at_once = dict(reversed(pins))
            pins = [pin for pin in pins if at_once[pin[0]] != pin[1]]
            found.update(_asked(Path(folder), at_once, service))
    return sorted(found)


def _pins(locked: Path) -> Iterator[tuple[str, str]]:
    for line in locked.read_text().splitlines():
        if line and line[0] not in " #":
            requirement = Requirement(line.removesuffix("\\"))
            (version,) = requirement.specifier
            yield requirement.name, version.version


def _asked(folder: Path, versions: dict[str, str], service: str | None) -> list[str]:
    (folder / "pyproject.toml").write_text(_PROJECT.format(names=json.dumps(sorted(versions))))
    names = ", ".join(f'{{ name = "{name}" }}' for name in sorted(versions))
    packages = (_PACKAGE.format(name=name, version=version) for name, version in sorted(versions.items()))
    (folder / "uv.lock").write_text(_LOCK + _ROOT.format(names=names) + "".join(packages))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "audit", "--frozen", "--output-format=json"),
            *("--preview-features=audit-command", "--preview-features=json-output"),
            *(["--service-url", service] if service else []),
        ],
        cwd=folder,
        env=os.environ | {"UV_HTTP_RETRIES": "1", "UV_NO_CONFIG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        result = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise ServiceAway(f"osv.dev was not asked: {lines[-1].strip()}") from None
    return [
        f"{one['dependency']['name']} {one['dependency']['version']}: {one['display_id']} {one['summary'] or ''}, "
        f"mended in {', '.join(one['fix_versions']) or 'no version'} ({one['link']})"
        for one in result["vulnerabilities"]
    ]


def main() -> int:
    """Print what is known."""
    try:
        found = known_vulnerabilities(LOCKED)
    except ServiceAway as away:
        print(away, file=sys.stderr)
        return 2
    print("\n".join(found) or "no known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
