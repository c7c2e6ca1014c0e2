"""`POST /decisions`: the only way in which the desk writes.

A form names a kind of decision, the faces or people with what its page believed of them, and what is decided. It
becomes actions, which `producers.decisions` checks and publishes all together or not at all. The answer is a line for
the page; where the page was wrong, or the decision contradicts others, it is a dialog with the way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from catalogue import browse, reader
from decisions import actions, beliefs
from decisions.actions import Action
from decisions.beliefs import Belief, DecidedMeanwhile, FaceBelief, PersonBelief
from decisions.conflicts import ConflictError
from decisions.refusals import Refusal
from producers.decisions import Decided
from schemas.decisions import DecisionUndone
from web.desk import Desk, desk_of, user_of
from web.entries import clause
from web.faces import face_as_believed, person_as_believed
from web.refusals import worded
from web.render import fragment, texts
from web.strings import Words

# A form has a few fields, and one for each selected face.
_MOST_FIELDS = 2_000

Fields = Mapping[str, Sequence[str]]
"""The values of a form by the names of its fields."""

KINDS = frozenset(
    {"named", "name-taken-back", "name-rejected", "not-a-face", "not-sure", "linked", "separated"}
    | {"renamed", "merged", "removed", "undone"}
)
"""What a form can ask for, called as the decisions are."""


async def decide(request: Request) -> Response:
    """Make the decisions of a form."""
    form = await request.form(max_fields=_MOST_FIELDS, max_files=0)
    return await run_in_threadpool(_decide, request, _fields(form))


def _decide(request: Request, fields: Fields) -> Response:
    desk, t = desk_of(request), texts(request)
    try:
        kind = _one(fields, "kind")
        wanted = list(_actions(desk, kind, fields))
        decided = desk.writer.decide(wanted, user_of(request).name, _one(fields, "note") or None, _believed(fields))
    except DecidedMeanwhile as meanwhile:
        return _decided_meanwhile(request, meanwhile, fields)
    except ConflictError as conflict:
        return _conflict(request, conflict)
    except Refusal as refusal:
        with desk.writer.reading() as known:
            why = worded(refusal, known, t)
        return _refusal(request, t.text("cannot"), why, 422)
    return _answer(request, kind, decided)


def _actions(desk: Desk, kind: str, fields: Fields) -> Iterator[Action]:
    """The actions that a form asks for. Raises Refusal."""
    if kind not in KINDS:
        raise Refusal(f"{kind!r} is nothing that can be decided", "wrong-page")
    if kind == "undone":
        for decision_id in fields.get("decision", ()):
            yield actions.parse({"action": "undo", "decision_id": decision_id})
    elif kind in ("renamed", "merged", "removed"):
        for person in _people(fields):
            yield actions.parse(_about_person(kind, person.label_id, fields))
    else:
        faces = [belief.face_id for belief in _faces(fields)]
        _refuse_unknown(desk, faces)
        yield from map(actions.parse, _ABOUT_FACES[kind](desk, faces, fields))


def _named(_: Desk, faces: Sequence[str], fields: Fields) -> Iterator[dict[str, Any]]:
    label_id = _one(fields, "label_id")
    who = {"label_id": label_id} if label_id else {"name": _one(fields, "typed")}
    yield from ({"action": "name", "face_id": face_id} | who for face_id in faces)


def _each(action: str, *names: str) -> Callable[[Desk, Sequence[str], Fields], Iterator[dict[str, Any]]]:
    def made(_: Desk, faces: Sequence[str], fields: Fields) -> Iterator[dict[str, Any]]:
        further = {name: _one(fields, name) for name in names}
        return ({"action": action, "face_id": face_id} | further for face_id in faces)

    return made


def _linked(_: Desk, faces: Sequence[str], __: Fields) -> Iterator[dict[str, Any]]:
    first, *others = faces
    yield from ({"action": "link", "face_id": first, "other_face_id": other} for other in others)


def _separated(desk: Desk, faces: Sequence[str], fields: Fields) -> Iterator[dict[str, Any]]:
    """Each face from the first one; with `rest`, from the most typical face of their cluster that is not among them."""
    if not _one(fields, "rest"):
        first, *others = faces
        yield from ({"action": "separate", "face_id": first, "other_face_id": other} for other in others)
        return
    clusters = desk.read(lambda connection: {it.cluster_id for it in reader.faces(connection, faces)})
    cluster_id = clusters.pop() if len(clusters) == 1 else None
    if cluster_id is None:
        raise Refusal("these faces are no longer in one cluster: look at it again", "several-clusters")
    members = desk.read(lambda connection: browse.faces_of_cluster(connection, cluster_id, len(faces) + 1))
    rest = next((tile.face_id for tile in members if tile.face_id not in faces), None)
    if rest is None:
        raise Refusal(
            "all faces of the cluster are selected: there are no others to separate them from", "all-selected"
        )
    yield from ({"action": "separate", "face_id": face_id, "other_face_id": rest} for face_id in faces)


_ABOUT_FACES: Mapping[str, Callable[[Desk, Sequence[str], Fields], Iterator[dict[str, Any]]]] = {
    "named": _named,
    "name-taken-back": _each("unname"),
    "name-rejected": _each("reject", "label_id"),
    "not-a-face": _each("not-a-face"),
    "not-sure": _each("not-sure", "label_id"),
    "linked": _linked,
    "separated": _separated,
}


def _about_person(kind: str, label_id: str, fields: Fields) -> dict[str, Any]:
    if kind == "renamed":
        return {
            "action": "rename",
            "label_id": label_id,
            "name": _one(fields, "name"),
            "authority": _one(fields, "authority"),
        }
    if kind == "merged":
        return {"action": "merge", "label_id": label_id, "other_label_id": _one(fields, "label_id")}
    return {"action": "remove", "label_id": label_id}


def _refuse_unknown(desk: Desk, faces: Sequence[str]) -> None:
    if not faces:
        raise Refusal("no face is selected", "nothing-selected")
    known = {it.face_id for it in desk.read(lambda connection: reader.faces(connection, faces))}
    unknown = [face_id for face_id in faces if face_id not in known]
    if unknown:
        text = f"the face {unknown[0]} is not in the archive any more: look at it again"
        raise Refusal(text, "no-face", face_id=unknown[0])


def _believed(fields: Fields) -> tuple[Belief, ...]:
    return (*_faces(fields), *_people(fields))


def _faces(fields: Fields) -> list[FaceBelief]:
    return [it for it in beliefs.parse(_json(fields, "face")) if isinstance(it, FaceBelief)]


def _people(fields: Fields) -> list[PersonBelief]:
    return [it for it in beliefs.parse(_json(fields, "person")) if isinstance(it, PersonBelief)]


def _json(fields: Fields, name: str) -> list[Any]:
    try:
        return [json.loads(value) for value in fields.get(name, ())]
    except ValueError as error:
        raise Refusal(f"the field {name!r} is not JSON", "wrong-page") from error


def _answer(request: Request, kind: str, decided: Decided) -> Response:
    desk, t = desk_of(request), texts(request)
    response = fragment(request, "answer", text=_text(desk, kind, decided, t), undo=bool(decided.decisions))
    with desk.writer.reading() as known:
        subjects = [known.subject(decision) for decision in decided.decisions]
    faces = [face_id for subject in subjects if subject for face_id in subject.face_ids]
    made = {
        "kind": kind,
        "decisions": [decision.decision_id for decision in reversed(decided.decisions)],
        "undone": [it.undone_decision_id for it in decided.decisions if isinstance(it, DecisionUndone)],
        "faces": list(dict.fromkeys(faces)),
    }
    # The pages' script learns from it what to undo, and shows what is next. Headers are ASCII, as json makes it.
    response.headers["HX-Trigger"] = json.dumps({"decided": made})
    return response


def _text(desk: Desk, kind: str, decided: Decided, t: Words) -> str:
    if not decided.decisions:
        return t.text("is-so-already")
    first = decided.decisions[0]
    with desk.writer.reading() as known:
        if isinstance(first, DecisionUndone):
            subject = known.get(first.undone_decision_id)
            text = t.text("did-undone", what=clause(known, subject, t) if subject else t.text("a-decision-gone"))
        else:
            label_id = getattr(first, "label_id", None)
            person = known.person(label_id) if label_id else None
            text = t.text(f"did-{kind}", name=person.name if person else label_id or "")
    return text + t.count("decided-faces", len(decided.decisions))


def _decided_meanwhile(request: Request, meanwhile: DecidedMeanwhile, fields: Fields) -> Response:
    """Both decisions side by side; the same form again believes what is so now."""
    desk, t = desk_of(request), texts(request)
    with desk.writer.reading() as known:
        yours = clause(known, meanwhile.attempted, t)
        other = meanwhile.other
        theirs = t.text("a-decision-gone") if other is None else f"{clause(known, other, t)} ({other.author})"
        again = [(name, value) for name, values in fields.items() if name not in ("face", "person") for value in values]
        again += [("face", face_as_believed(known, it.face_id)) for it in _faces(fields)]
        again += [("person", person_as_believed(known, it.label_id)) for it in _people(fields)]
    return _refusal(
        request,
        t.text("changed-meanwhile"),
        t.text("changed-meanwhile-why"),
        409,
        yours=yours,
        theirs=[theirs],
        again=again,
    )


def _conflict(request: Request, conflict: ConflictError) -> Response:
    desk, t = desk_of(request), texts(request)
    with desk.writer.reading() as known:
        undo = [(it.decision_id, f"{clause(known, it, t)} ({it.author})") for it in conflict.earlier]
        why = worded(conflict, known, t)
    return _refusal(request, t.text("refused"), why, 409, undo=undo)


def _refusal(request: Request, title: str, why: str, status: int, **context: Any) -> Response:  # noqa: ANN401
    at_hand: dict[str, Any] = {"yours": "", "theirs": [], "undo": [], "again": []}
    response = fragment(request, "refusal", status, title=title, why=why, **(at_hand | context))
    response.headers["HX-Retarget"] = "#refusal"
    return response


def _one(fields: Fields, name: str) -> str:
    values = fields.get(name, ())
    return values[0].strip() if values else ""


def _fields(form: FormData) -> Fields:
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    return fields
