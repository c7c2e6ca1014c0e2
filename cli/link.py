"""`facestream link` and `separate`: two faces are one person, or different people."""

from __future__ import annotations

from cli.common import Data, Json
from cli.deciding import Author, Desk, FaceId, Note, OtherFaceId, decide_and_tell
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
    """Say that two faces are one person: they are in one cluster from now on."""
    decide_and_tell(
        lambda at, fields: FacesLinked(**fields, **_pair(at, face_id, other_face_id)),
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
    """Say that two faces are different people: they are never in one cluster, which is divided between them."""
    decide_and_tell(
        lambda at, fields: FacesSeparated(**fields, **_pair(at, face_id, other_face_id)),
        command="separate",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def _pair(at: Desk, face_id: str, other_face_id: str) -> dict[str, str]:
    pair = {"face_id": at.face_id(face_id), "other_face_id": at.face_id(other_face_id)}
    if pair["face_id"] == pair["other_face_id"]:
        raise UserError(f"both are the face {pair['face_id']}: give two different faces")
    return pair
