"""Options and arguments that several commands have. Nothing heavy is imported here."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

from errors import UserError

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the embedded Kafka and PostgreSQL.", show_default="./data"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]

FaceId = Annotated[
    str, typer.Argument(metavar="FACE_ID", help="A face's id, or a beginning of it that no other face has.")
]
KnownName = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of a person who was named, or their label id.")
]
OtherFaceId = Annotated[str, typer.Argument(metavar="FACE_ID", help="The same of another face.")]


def local_user() -> str:
    """Who decides on this machine where no author is given. Raises UserError where that is unknown."""
    return os.environ.get("FACESTREAM_AUTHOR") or _login_name()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UserError("the login name is unknown: give --author, or set FACESTREAM_AUTHOR") from error


Author = Annotated[
    str,
    typer.Option(
        default_factory=_login_name, envvar="FACESTREAM_AUTHOR", help="Who decides.", show_default="the login name"
    ),
]
Note = Annotated[str | None, typer.Option(help="Why, or how it is known.", show_default=False)]
