"""*People* and *Person*: who was named, their faces, and one question after the other about further ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from catalogue import browse, suggestions
from catalogue.browse import LabelCounts
from catalogue.candidate_clusters import candidate_clusters
from decisions.holding import Decisions
from decisions.identities import Person
from decisions.people import find_people
from web.desk import MOST_TILES, Desk, desk_of
from web.faces import as_decided, face_as_believed, person_as_believed
from web.pages.clusters import number
from web.problems import NotThere
from web.render import fragment, page, texts

# Questions sent at a time; the page asks for more before it has run out of them.
_QUESTIONS = 20
# Candidates read for them: some may be decided by now, or be on the page already.
_CANDIDATES = 80
_MOST_PEOPLE = 300
_MOST_CLUSTERS = 12
_OPTIONS = 7


@dataclass(frozen=True)
class ListedPerson:
    """A person, how many faces have the name and how many are proposed for it, and one of them."""

    label_id: str
    name: str
    authority: str | None
    hard: int
    soft: int
    face_id: str | None


@dataclass(frozen=True)
class _Question:
    """A face that may be the person."""

    face_id: str
    scan_id: str
    probability: float | None
    distance: float | None
    belief: str


def people_page(request: Request) -> Response:
    """Everybody, or those whom `q` may mean."""
    desk, t = desk_of(request), texts(request)
    text = request.query_params.get("q", "").strip()
    people = desk.people()
    found = find_people(text, people, _MOST_PEOPLE) if text else sorted(people.values(), key=_by_name)[:_MOST_PEOPLE]
    return page(request, "people", t.text("people"), q=text, people=listed_people(desk, found))


def listed_people(desk: Desk, people: Sequence[Person]) -> list[ListedPerson]:
    """People with the counts of their faces."""
    label_ids = [person.label_id for person in people]
    counts = {it.label_id: it for it in desk.read(lambda connection: browse.label_counts(connection, label_ids))}
    none = LabelCounts("", 0, 0, None)
    return [
        ListedPerson(it.label_id, it.name, it.authority, count.hard, count.soft, count.face_id)
        for it in people
        for count in [counts.get(it.label_id, none)]
    ]


def options(request: Request) -> Response:
    """The people whom typed text may mean, as options; with `new` also a new person of that name."""
    typed = " ".join(request.query_params.get("typed", "").split())
    people = desk_of(request).people()
    found = find_people(typed, people, _OPTIONS) if typed else []
    known = any(person.name.casefold() == typed.casefold() for person in found)
    new = bool(typed and request.query_params.get("new")) and not known
    return fragment(
        request, "options", people=found, new=new, typed=typed, field=request.query_params.get("field", "option")
    )


def person_page(request: Request) -> Response:
    """A person: their faces from `first` on, and what can be done with them. The page asks for questions itself."""
    desk = desk_of(request)
    label_id = request.path_params["label_id"]
    first = number(request, "first")
    with desk.writer.reading() as decisions:
        person = decisions.person(label_id)
    if person is None:
        raise NotThere
    if person.label_id != label_id:
        return RedirectResponse(f"/person/{quote(person.label_id)}", 303)
    with desk.pool.connection() as connection:
        tiles = browse.faces_of_person(connection, label_id, MOST_TILES, first)
        count = browse.count_of_person(connection, label_id)
    with desk.writer.reading() as decisions:
        shown = [tile for tile in as_decided(decisions, tiles) if tile.label_id == label_id]
        return page(
            request,
            "person",
            person.name,
            person=person,
            first=first,
            count=count,
            tiles=shown,
            belief=person_as_believed(decisions, label_id),
        )


def questions(request: Request) -> Response:
    """Questions about a person, without the faces in `asked`."""
    desk = desk_of(request)
    label_id = request.path_params["label_id"]
    asked = request.query_params.getlist("asked")
    candidates = desk.read(lambda connection: _read_candidates(connection, desk, label_id, len(asked)))
    with desk.writer.reading() as decisions:
        person = decisions.person(label_id)
        if person is None:
            raise NotThere
        found = _questions(decisions, candidates, label_id, asked)
    return fragment(request, "questions", person=person, questions=found)


def clusters_that_may_be(request: Request) -> Response:
    """The clusters that may be a person's as a whole. The page asks for them when it is shown."""
    desk = desk_of(request)
    label_id = request.path_params["label_id"]
    clusters = desk.read(
        lambda connection: candidate_clusters(connection, label_id, desk.radius(connection), _MOST_CLUSTERS)
    )
    with desk.writer.reading() as decisions:
        person = decisions.person(label_id)
    if person is None:
        raise NotThere
    return fragment(request, "clusters-may-be", person=person, clusters=clusters)


def _read_candidates(
    connection: Connection, desk: Desk, label_id: str, more: int = 0
) -> Sequence[suggestions.Candidate]:
    return suggestions.candidates(connection, label_id, desk.radius(connection), _CANDIDATES + more)


def _questions(
    decisions: Decisions, candidates: Sequence[suggestions.Candidate], label_id: str, asked: Collection[str]
) -> list[_Question]:
    open_questions = (
        _Question(it.face_id, it.scan_id, it.probability, it.distance, face_as_believed(decisions, it.face_id))
        for it in candidates
        if it.face_id not in asked and _is_open(decisions, it.face_id, label_id)
    )
    return [question for question, _ in zip(open_questions, range(_QUESTIONS), strict=False)]


def _is_open(decisions: Decisions, face_id: str, label_id: str) -> bool:
    """Whether nothing was decided that the candidates may not know of yet."""
    labels = decisions.labels(face_id)
    return labels.hard is None and not labels.not_a_face and label_id not in labels.rejected


def _by_name(person: Person) -> tuple[str, str]:
    return person.name.casefold(), person.label_id
