"""`facestream show`: everything about one face."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated

import typer
from psycopg import Connection
from rich.table import Column, Table

from catalogue import decisions, reader
from catalogue.decisions import NotFace, Pair, Rejection, SuggestedName, Unsure
from catalogue.reader import CatalogueFace
from cli.archive import open_catalogue
from cli.common import load_settings
from cli.options import Data, FaceId, Json
from cli.printing import console, folded, print_json
from errors import UserError


class _Shown:
    """A face in the catalogue, with all decisions and proposals about it."""

    def __init__(self, connection: Connection, face_id: str) -> None:
        self.face: CatalogueFace = reader.faces(connection, [face_id])[0]
        self.name = decisions.name_of(connection, self.face.label_id) if self.face.label_id is not None else None
        self.proposals: list[SuggestedName] = decisions.distribution(connection, face_id)
        self.rejections: list[Rejection] = decisions.rejections(connection, face_id)
        self.not_a_face: list[NotFace] = decisions.not_faces(connection, [face_id])
        self.unsure: list[Unsure] = decisions.unsure(connection, face_id)
        self.pairs: list[Pair] = decisions.pairs(connection, face_id)


def show(
    face_id: FaceId,
    data: Data = None,
    json_: Json = False,
    embedding: Annotated[bool, typer.Option("--embedding", help="With --json: the vector too, as base64.")] = False,
) -> None:
    """Everything about a face: where it is, its cluster, its name or the names proposed, links and separations.

    --embedding gives the vector that is erased with the face, so that anybody can search for it: float32 numbers,
    little-endian, 128 of dlib's embedder.
    """
    if embedding and not json_:
        raise UserError("--embedding goes with --json")
    with open_catalogue(load_settings(data), "show") as connection:
        shown = _Shown(connection, reader.face_id_of(connection, face_id))
        vector = reader.vector_of(connection, shown.face.face_id) if embedding else None
    if json_:
        print_json(_as_json(shown) | ({"embedding": base64.b64encode(vector).decode()} if vector else {}))
        return
    table = Table(Column(no_wrap=True), folded(""), title=f"Face {shown.face.face_id}", show_header=False)
    for row in _rows(shown):
        table.add_row(*row)
    console.print(table)


def _as_json(shown: _Shown) -> dict[str, object]:
    face = shown.face
    proposals = [
        {"label_id": proposal.label_id, "name": proposal.name, "probability": proposal.probability}
        for proposal in shown.proposals
    ]
    return {
        "face_id": face.face_id,
        "scan_id": face.scan_id,
        "uri": face.uri,
        "box": face.box.model_dump(),
        "cluster_id": face.cluster_id,
        "role": face.role,
        "hard_label": None if face.label_id is None else {"label_id": face.label_id, "name": shown.name},
        "soft_label": proposals[0] if proposals else None,
        "distribution": proposals,
        "never": [
            {"label_id": rejection.label_id, "name": rejection.name, "decision_id": rejection.decision_id}
            for rejection in shown.rejections
        ],
        "not_sure": [
            {"label_id": it.label_id, "name": it.name, "until": it.until, "decision_id": it.decision_id}
            for it in shown.unsure
        ],
        "not_a_face": [{"decision_id": it.decision_id} for it in shown.not_a_face],
        "linked": _pairs_as_json(shown, "linked"),
        "separated": _pairs_as_json(shown, "separated"),
    }


def _pairs_as_json(shown: _Shown, kind: str) -> list[dict[str, str]]:
    return [{"face_id": pair.face_id, "decision_id": pair.decision_id} for pair in shown.pairs if pair.kind == kind]


def _rows(shown: _Shown) -> Iterator[tuple[str, str]]:
    face, box = shown.face, shown.face.box
    yield "scan", face.scan_id
    yield "picture", face.uri
    yield "box", f"left {box.left:.4f}, top {box.top:.4f}, right {box.right:.4f}, bottom {box.bottom:.4f}"
    for none in shown.not_a_face:
        yield "not a face", f"{none.author}, decision {none.decision_id}"
    yield "cluster", face.cluster_id or face.role or ("none" if shown.not_a_face else "not clustered yet")
    if face.cluster_id:
        yield "role", str(face.role)
    if face.label_id is not None:
        yield "name", f"{shown.name} ({face.label_id})"
    elif not shown.proposals:
        yield "name", "none, and none is proposed"
    for proposal in shown.proposals:
        yield "proposed", f"{proposal.probability:.4f} {proposal.name} ({proposal.label_id})"
    for rejection in shown.rejections:
        yield "never", f"{rejection.name} ({rejection.author}, decision {rejection.decision_id})"
    for unsure in shown.unsure:
        asked = f"asked again {unsure.until.astimezone():%Y-%m-%d}"
        yield "not sure", f"{unsure.name}, {asked} ({unsure.author}, decision {unsure.decision_id})"
    for pair in shown.pairs:
        yield pair.kind, f"{pair.face_id} ({pair.author}, decision {pair.decision_id})"
