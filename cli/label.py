"""`facestream label`, `unlabel`, `reject`, `not-sure` and `not-a-face`: what is decided about one face."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.decide import decide
from cli.options import Author, Data, FaceId, Json, KnownName, Note
from decisions.actions import Name, NotSureWhether, Reject, SayNotAFace, Unname
from decisions.people import checked_text


def label(
    face_id: FaceId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person's name, as people are to read it.")],
    author: Author,
    label_id: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="ID",
            help="The person's label id, to distinguish people of one name.",
            show_default="that of the person of this name, or one made from the name",
        ),
    ] = None,
    authority: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="The person in an authority file, such as VIAF or Wikidata.", show_default=False
        ),
    ] = None,
    note: Note = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Name a face. The name stays until another decision replaces it, and is proposed for the faces around it."""
    checked_text(name, "the name")
    decide(
        lambda context: Name(face_id=context.face_id(face_id), name=name, label_id=label_id, authority=authority),
        command="label",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def unlabel(face_id: FaceId, author: Author, note: Note = None, data: Data = None, json_: Json = False) -> None:
    """Remove the name of a face, whoever gave it."""
    decide(
        lambda context: Unname(face_id=context.face_id(face_id)),
        command="unlabel",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def reject(
    face_id: FaceId, name: KnownName, author: Author, note: Note = None, data: Data = None, json_: Json = False
) -> None:
    """Decide that a face is never this person. The name is not proposed for it again."""
    decide(
        lambda context: Reject(label_id=context.person(name).label_id, face_id=context.face_id(face_id)),
        command="reject",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def not_sure(
    face_id: FaceId, name: KnownName, author: Author, note: Note = None, data: Data = None, json_: Json = False
) -> None:
    """Decide that it cannot be decided now whether a face is this person. It is not asked again for 30 days."""
    decide(
        lambda context: NotSureWhether(label_id=context.person(name).label_id, face_id=context.face_id(face_id)),
        command="not-sure",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )


def not_a_face(face_id: FaceId, author: Author, note: Note = None, data: Data = None, json_: Json = False) -> None:
    """Decide that what was found is not a face. It leaves its cluster, and is not proposed for anybody."""
    decide(
        lambda context: SayNotAFace(face_id=context.face_id(face_id)),
        command="not-a-face",
        author=author,
        note=note,
        data=data,
        json_=json_,
    )
