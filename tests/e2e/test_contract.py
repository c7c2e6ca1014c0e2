"""Records as the running system sends them are as the contract in docs/contract says, headers included."""

from __future__ import annotations

import shutil
from pathlib import Path

from decisions import actions
from producers.decisions import DecisionWriter
from producers.files import list_sources
from stream.generations import read_generations
from stream.stages import stages_with
from tests.builders.clock import now
from tests.builders.commands import facestream
from tests.builders.contract import assert_all_as_in_the_contract, document
from tests.builders.kafka import wait_until_done
from tests.builders.system import Running, StartSystem

# Drawn by `facestream calibrate` from thousands of faces; nothing deletes decisions, and nothing references.
# tests/cli/test_calibrate.py and tests/consumers/test_chunks.py check the records that are not seen here.
_NOT_SENT = {
    *("facestream.reference.drawn.v1", "facestream.references.tombstone.v1", "facestream.labels.tombstone.v1"),
    # Of erasures and retired generations, which this archive has none of.
    *("facestream.generations.tombstone.v1", "facestream.faces.erased.v1", "facestream.erasures.tombstone.v1"),
}


def decide_everything(running: Running, faces: list[str]) -> None:
    """A decision of every kind."""
    one, two, three, four, five, six = faces[:6]
    with DecisionWriter(running.settings.kafka, now) as writer:
        for action in (
            actions.Name(face_id=one, name="Ann"),
            actions.Name(face_id=two, name="Anne", authority="https://viaf.org/viaf/1"),
            actions.Merge(label_id="ann", other_label_id="anne"),
            actions.Rename(label_id="ann", name="Anna"),
            actions.Unname(face_id=two),
            actions.Reject(face_id=three, label_id="ann"),
            actions.NotSureWhether(face_id=four, label_id="ann"),
            actions.SayNotAFace(face_id=five),
            actions.Separate(face_id=one, other_face_id=three),
            actions.Link(face_id=one, other_face_id=four),
        ):
            writer.decide([action], "Mari", note="for the contract")
        (named,) = writer.decide([actions.Name(face_id=six, name="Bea")], "Mari").decisions
        writer.decide([actions.Undo(decision_id=named.decision_id)], "Mari")
        writer.decide([actions.Remove(label_id="ann")], "Mari")


def run_a_second_generation(running: Running) -> None:
    """With an index of its own, live, and following from now on."""
    data = ("--data", running.settings.data)
    for command in (("replay", "--into", "green", "--topic", "faces", "--eps", 0.36, "--yes"), ("promote", "green")):
        ended = facestream(*command, *data)
        assert ended.returncode == 0, ended.stderr
    running.supervisor.follow(read_generations(running.settings.kafka))


def test_every_record_that_is_sent_is_as_the_contract_says(start: StartSystem, sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    shutil.copytree(sample / "prints", folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with start() as running:
        running.publish(list_sources([folder]).sources)
        running.wait_until_done()
        faces = [str(face_id) for (face_id,) in running.rows("SELECT face_id FROM faces ORDER BY face_id")]
        decide_everything(running, faces)
        run_a_second_generation(running)
        ((gone,),) = running.rows("SELECT min(scan_id) FROM faces")
        assert facestream("withdraw", gone, "--data", running.settings.data).returncode == 0
        assert facestream("dead-letters", "drop", "--all", "--data", running.settings.data).returncode == 0
        running.wait_until_done()
        wait_until_done(running.settings.kafka, stages_with(read_generations(running.settings.kafka)))
        seen = assert_all_as_in_the_contract(running.settings.kafka)
    assert set(document()["components"]["messages"]) - set(seen) == _NOT_SENT
    assert seen["dead-letter"] == 2
