"""An archivist at work on the running system: a few decisions, what the system suggests, and everything undone."""

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
class Archivist:
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
        """Something cannot be decided; yields the one line with the reason."""
        done = facestream(*arguments, "--data", self.running.settings.data)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.strip().splitlines()
        return line

    def clusters(self) -> dict[str, list[str]]:
        """The faces of each cluster."""
        return {row["cluster_id"]: [face["face_id"] for face in row["faces"]] for row in self.ask("clusters")}

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
def archivist(start: StartSystem, johns: Path) -> Iterator[Archivist]:
    with start() as running:
        folders = [johns / name for name in ("John_Savage", "John_Simm", "John_Schneider")]
        running.publish(list_sources(folders).sources)
        running.wait_until_done()
        yield Archivist(running)


def test_a_few_decisions_name_everybody_and_taking_them_back_leaves_no_trace(archivist: Archivist) -> None:
    untouched = archivist.clusters()
    (savage,), (simm,) = archivist.clusters_in("John_Savage"), archivist.clusters_in("John_Simm")
    schneider, (alone,) = archivist.clusters_in("John_Schneider")
    assert (len(savage), len(simm), len(schneider)) == (11, 11, 10)

    # The largest clusters are next, and one name settles a cluster.
    assert {archivist.cluster_of(row["face_id"]) for row in archivist.ask("next", "--limit", 2)} == {
        archivist.cluster_of(savage[0]),
        archivist.cluster_of(simm[0]),
    }
    decided = [archivist.decide("label", savage[0], "John Savage"), archivist.decide("label", simm[0], "John Simm")]
    assert [(row["name"], row["hard"], row["soft"]) for row in archivist.ask("people")] == [
        ("John Savage", 1, 10),
        ("John Simm", 1, 10),
    ]
    (shown,) = archivist.ask("show", savage[1])
    assert shown["soft_label"]["name"] == "John Savage"
    assert 0.5 < shown["soft_label"]["probability"] < 1
    assert {row["face_id"] for row in archivist.ask("candidates", "john savage", "--limit", 10)} == set(savage[1:])
    nearest, *_ = archivist.ask("suggest", simm[1])
    assert (nearest["name"], nearest["hard"]) == ("John Simm", 1)
    assert 0.5 < nearest["probability"] < 1
    assert archivist.ask("next", "--limit", 1)[0]["face_id"] in schneider

    # Linked faces are in one cluster, and have one name.
    decided.append(archivist.decide("link", schneider[0], alone))
    assert sorted(archivist.clusters()[archivist.cluster_of(alone)]) == sorted([*schneider, alone])
    decided.append(archivist.decide("label", schneider[0], "John Schneider"))
    assert archivist.ask("show", alone)[0]["soft_label"]["name"] == "John Schneider"
    assert f"face {alone} is John Simm conflicts" in archivist.assert_refused("label", alone, "John Simm").replace(
        "that ", ""
    )

    # A rejected name is proposed no more.
    decided.append(archivist.decide("reject", savage[2], "John Savage"))
    assert archivist.ask("show", savage[2])[0]["distribution"] == []
    assert savage[2] not in {row["face_id"] for row in archivist.ask("candidates", "John Savage")}
    assert decided[-1] in archivist.assert_refused("link", savage[0], savage[2])

    # Separated faces are never in one cluster, until that is undone.
    apart = archivist.decide("separate", simm[1], simm[2])
    assert archivist.cluster_of(simm[1]) != archivist.cluster_of(simm[2])
    assert apart in archivist.assert_refused("link", simm[1], simm[2])
    archivist.decide("undo", apart)
    assert archivist.cluster_of(simm[1]) == archivist.cluster_of(simm[2]) == archivist.cluster_of(simm[0])
    assert [row["kind"] for row in archivist.ask("history", simm[1])] == ["separated", "undone"]

    for decision_id in reversed(decided):
        archivist.decide("undo", decision_id[:12])
    assert archivist.clusters() == untouched
    assert archivist.ask("people") == archivist.ask("orphans") == []
    assert archivist.running.rows(
        "SELECT count(*) FROM assignments WHERE num_nonnulls(hard_label, soft_label) > 0"
    ) == [(0,)]
