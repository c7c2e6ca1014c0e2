"""`facestream export`: all that is held about a person, as a folder with JSON and crops."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from catalogue import decisions, held
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.export_faces import cut, save
from cli.options import Data
from cli.printing import print_line, stderr
from decisions.people import checked_text, known_person
from errors import UserError
from models.images import UnreadableImage
from models.scan_image import scan_image
from models.stores.errors import StoreUnavailable, UnavailableImage
from models.stores.parameters import StoreParameters
from models.stores.stores import Fetch, Stores
from schemas.scans import Box


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write: a new or an empty folder.")],
    person: Annotated[str, typer.Option(metavar="NAME", help="The name of a person who was named, or their label id.")],
    data: Data = None,
) -> None:
    """Write all that is held about a person into a folder, as JSON with crops of the faces.

    person.json, faces.json (with embeddings), proposed.json (faces for which the name is only proposed), scans.json,
    decisions.json, clusters.json, and a crop of each face. Names of others in it are those that the archive has
    written on the same scans.
    """
    settings = load_settings(data)
    _prepare(folder)
    fetch = Stores(StoreParameters.of(settings.stores.model_dump(), settings.data)).fetch
    with open_catalogue(settings, "export") as connection:
        known = known_person(checked_text(person, "the name"), decisions.known_labels(connection))
        label_ids = held.label_ids_of(connection, known.label_id)
        named, proposed = held.named_faces(connection, label_ids), held.proposed_faces(connection, label_ids)
        faces = held.faces(connection, named)
        parts: Mapping[str, Any] = {
            "person": {"label_ids": label_ids, "name": known.name, "authority": known.authority},
            "faces": faces,
            "proposed": held.faces(connection, proposed),
            "scans": held.scans(connection, named),
            "decisions": held.decisions(connection, named, label_ids),
            "clusters": held.cluster_changes(connection, named),
        }
        for name, part in parts.items():
            _write(folder / f"{name}.json", part)
        missing = _cut(fetch, faces, parts["scans"], folder)
    print_line(f"written to {folder}: {len(named):,} faces, {len(parts['decisions']):,} decisions")
    print_line(f"faces for which the name is only proposed: {len(proposed):,}")
    if missing:
        raise UserError(f"faces that could not be cut, for the reasons above: {missing:,}")


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise UserError(f"{folder} is not empty: name another folder")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error


def _write(path: Path, content: object) -> None:
    try:
        path.write_text(json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def _cut(fetch: Fetch, faces: Sequence[held.Row], scans: Sequence[held.Row], folder: Path) -> int:
    """Write a crop of each face; how many could not be cut."""
    missing = 0
    for scan in scans:
        own = [face for face in faces if face["scan_id"] == scan["scan_id"]]
        try:
            picture = scan_image(scan["uri"], scan["sha256"], scan["page"], fetch)
        except (UnavailableImage, StoreUnavailable, UnreadableImage) as error:
            _report(f"{scan['scan_id']}: {error}")
            missing += len(own)
            continue
        for face in own:
            box = Box(**{side: face[f"box_{side}"] for side in ("left", "top", "right", "bottom")})
            crop = cut(picture, box)
            if not crop.size:
                _report(f"{scan['scan_id']}: the box of face {face['face_id']} is outside of the scan")
                missing += 1
                continue
            save(crop, folder / "crops", face["face_id"])
    return missing


def _report(problem: str) -> None:
    stderr.print(problem, style="yellow", soft_wrap=True)
