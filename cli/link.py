"""`facestream link` and `separate`: two faces are one person, or different people."""

from __future__ import annotations

from cli.decide import DecisionContext, decide
from cli.options import Author, Data, FaceId, Json, Note, OtherFaceId
from errors import UserError
from schemas.decisions import FacesLinked, FacesSeparated


def link(
    face_id: FaceId,
    other_face_id: OtherFaceId,
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Decide that two faces are one person: they are in one cluster from now on."""
    decide(
        lambda context, fields: FacesLinked(**fields, **_pair(context, face_id, other_face_id)),
        command="link",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def separate(
    face_id: FaceId,
    other_face_id: OtherFaceId,
    author: Author,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Decide that two faces are different people: they are never in one cluster, which is divided between them."""
    decide(
        lambda context, fields: FacesSeparated(**fields, **_pair(context, face_id, other_face_id)),
        command="separate",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def _pair(context: DecisionContext, face_id: str, other_face_id: str) -> dict[str, str]:
    pair = {"face_id": context.face_id(face_id), "other_face_id": context.face_id(other_face_id)}
    if pair["face_id"] == pair["other_face_id"]:
        raise UserError(f"both are the face {pair['face_id']}: give two different faces")
    return pair
