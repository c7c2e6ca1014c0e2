"""`facestream link` and `separate`: two faces are one person, or different people."""

from __future__ import annotations

from cli.decide import decide
from cli.options import Author, Data, FaceId, Json, Note, OtherFaceId
from decisions.actions import Link, Separate


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
        lambda context: Link(face_id=context.face_id(face_id), other_face_id=context.face_id(other_face_id)),
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
        lambda context: Separate(face_id=context.face_id(face_id), other_face_id=context.face_id(other_face_id)),
        command="separate",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )
