"""An archivist at work on the running system: a few decisions, what the system proposes, and everything taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from producers.files import list_sources
from tests.builders.commands import CommandFailed, facestream, facestream_json
from tests.builders.system import Running, StartSystem


@dataclass(frozen=True)
class Desk:
    """The commands on a running system of three people's photographs."""

    running: Running

    def ask(self, *arguments: object) -> list[Any]:
        """What a command prints with --json."""
        return facestream_json(*arguments, "--data", self.running.settings.data)

    def decide(self, *arguments: object) -> str:
        """Decides, waits until it has taken effect, and gives the decision's id."""
        (line,) = self.ask(*arguments)
        if not line["decided"]:
            raise CommandFailed(line)
        self.running.wait_until_done()
        return str(line["decision_id"])

    def assert_refused(self, *arguments: object) -> str:
        """Something cannot be decided; gives the one line that says why."""
        done = facestream(*arguments, "--data", self.running.settings.data)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.strip().splitlines()
        return line

    def clusters(self) -> dict[str, list[str]]:
        """The faces of each cluster."""
        return {it["cluster_id"]: [face["face_id"] for face in it["faces"]] for it in self.ask("clusters")}

    def clusters_in(self, collection: str) -> list[list[str]]:
        """The same of a collection of photographs of one person, the largest first."""
        found = self.running.rows(
            "SELECT array_agg(face_id ORDER BY face_id) FROM face_catalogue "
            f"WHERE collection = '{collection}' GROUP BY cluster_id ORDER BY count(*) DESC"
        )
        return [faces for (faces,) in found]

    def cluster_of(self, face_id: str) -> str:
        ((cluster_id,),) = self.running.rows(f"SELECT cluster_id FROM face_catalogue WHERE face_id = '{face_id}'")
        return str(cluster_id)


@pytest.fixture
def desk(start: StartSystem, johns: Path) -> Iterator[Desk]:
    with start() as running:
        folders = [johns / name for name in ("John_Savage", "John_Simm", "John_Schneider")]
        running.publish(list_sources(folders).sources)
        running.wait_until_done()
        yield Desk(running)


def test_a_few_decisions_name_everybody_and_taking_them_back_leaves_no_trace(desk: Desk) -> None:
    untouched = desk.clusters()
    (savage,), (simm,) = desk.clusters_in("John_Savage"), desk.clusters_in("John_Simm")
    schneider, (alone,) = desk.clusters_in("John_Schneider")
    assert (len(savage), len(simm), len(schneider)) == (11, 11, 10)

    # The largest clusters are next, and one name settles a cluster.
    assert {desk.cluster_of(it["face_id"]) for it in desk.ask("next", "--limit", 2)} == {
        desk.cluster_of(savage[0]),
        desk.cluster_of(simm[0]),
    }
    decided = [desk.decide("label", savage[0], "John Savage"), desk.decide("label", simm[0], "John Simm")]
    assert [(it["name"], it["hard"], it["soft"]) for it in desk.ask("people")] == [
        ("John Savage", 1, 10),
        ("John Simm", 1, 10),
    ]
    (shown,) = desk.ask("show", savage[1])
    assert (shown["soft_label"]["name"], shown["soft_label"]["probability"]) == ("John Savage", 1.0)
    assert {it["face_id"] for it in desk.ask("candidates", "john savage", "--limit", 10)} == set(savage[1:])
    nearest, *_ = desk.ask("suggest", simm[1])
    assert (nearest["name"], nearest["probability"], nearest["hard"]) == ("John Simm", 1.0, 1)
    assert desk.ask("next", "--limit", 1)[0]["face_id"] in schneider

    # Linked faces are in one cluster, and have one name.
    decided.append(desk.decide("link", schneider[0], alone))
    assert sorted(desk.clusters()[desk.cluster_of(alone)]) == sorted([*schneider, alone])
    decided.append(desk.decide("label", schneider[0], "John Schneider"))
    assert desk.ask("show", alone)[0]["soft_label"]["name"] == "John Schneider"
    assert f"face {alone} is John Simm conflicts" in desk.assert_refused("label", alone, "John Simm").replace(
        "that ", ""
    )

    # A rejected name is proposed no more.
    decided.append(desk.decide("reject", savage[2], "John Savage"))
    assert desk.ask("show", savage[2])[0]["distribution"] == []
    assert savage[2] not in {it["face_id"] for it in desk.ask("candidates", "John Savage")}
    assert decided[-1] in desk.assert_refused("link", savage[0], savage[2])

    # Separated faces are never in one cluster, until that is taken back.
    apart = desk.decide("separate", simm[1], simm[2])
    assert desk.cluster_of(simm[1]) != desk.cluster_of(simm[2])
    assert apart in desk.assert_refused("link", simm[1], simm[2])
    desk.decide("undo", apart)
    assert desk.cluster_of(simm[1]) == desk.cluster_of(simm[2]) == desk.cluster_of(simm[0])
    assert [it["kind"] for it in desk.ask("history", simm[1])] == ["separated", "undone"]

    for decision_id in reversed(decided):
        desk.decide("undo", decision_id[:12])
    assert desk.clusters() == untouched
    assert desk.ask("people") == desk.ask("orphans") == []
    assert desk.running.rows("SELECT count(*) FROM assignments WHERE num_nonnulls(hard_label, soft_label) > 0") == [
        (0,)
    ]
