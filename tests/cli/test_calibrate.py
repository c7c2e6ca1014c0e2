"""`facestream calibrate` draws a reference from the archive and publishes it, or refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.drawing import draw, sample
from cli.calibrate import calibrate
from cli.supervisor import as_environment
from consumers.references import reference_of
from errors import UserError
from schemas.defaults import CALIBRATED_EPS
from schemas.topics import FACES, Tombstone
from settings import KafkaSettings, Settings
from tests.builders.analyses import album, one_face_scans
from tests.builders.contract import assert_all_as_in_the_contract
from tests.builders.kafka import publish


def _environment(monkeypatch: pytest.MonkeyPatch, data: Path, kafka: KafkaSettings) -> Settings:
    settings = Settings.model_validate(
        {"data": data, "kafka": kafka.model_dump(), "clustering": {"distance": "calibrated"}}
    )
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    return settings


def test_the_reference_is_that_of_the_live_faces_and_is_the_one_in_use_from_then_on(
    tmp_path: Path, empty_kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = album(340, a_person=1).vectors
    settings = _environment(monkeypatch, tmp_path, empty_kafka)
    publish(empty_kafka, [*one_face_scans(vectors), Tombstone(FACES, "scan-0339")])
    calibrate(json_=True)
    report = json.loads(capsys.readouterr().out)
    used = reference_of(settings)
    live = vectors[:339]
    expected = draw(live[sample([f"face-{number:04}" for number in range(339)])])
    assert used is not None
    assert report["reference"] == used.name == expected.name
    assert (report["faces"], report["sampled"], report["people"]) == (339, 339, 320)
    assert assert_all_as_in_the_contract(empty_kafka)["facestream.reference.drawn.v1"] == 1
    assert report["wrong_links_per_face"] == pytest.approx(339 * expected.strangers_within(CALIBRATED_EPS))


def test_too_few_faces_are_refused_and_the_reference_in_use_stays(
    tmp_path: Path, empty_kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _environment(monkeypatch, tmp_path, empty_kafka)
    publish(empty_kafka, one_face_scans(album(20, 1).vectors))
    before = reference_of(settings)
    with pytest.raises(UserError, match=r"the one in use stays: a reference is drawn from at least 300 faces, not 20"):
        calibrate()
    assert reference_of(settings) is before
