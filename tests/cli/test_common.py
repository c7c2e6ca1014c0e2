"""What the commands share."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import structlog
from psycopg import Connection

from cli.common import largest_euclidean, load_settings
from cli.logs import log_to_stderr
from cli.main import main
from cli.supervisor import as_environment
from errors import UserError
from models.descriptions import eps_max_of
from models.weights import WeightsError
from tests.builders import networks


def test_log_lines_go_to_the_standard_error_there_is_not_to_one_that_was_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = structlog.get_logger()
    log_to_stderr()
    for number in range(2):
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        log.warning("restarted", number=number)
        assert f'"number": {number}' in stream.getvalue()
        stream.close()


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(UserError, match=r"^--eps: Input should be greater than 0, not -1\.0$"):
        load_settings(clustering={"eps": -1.0})


def test_a_wrong_setting_is_named_as_it_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_MODELS__MAX_SIZE", "12")
    with pytest.raises(UserError, match=r"^FACESTREAM_MODELS__MAX_SIZE: Input should be .* 80, not '12'$"):
        load_settings(clustering={"eps": 0.4})


def test_a_group_of_settings_that_is_not_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_KAFKA", "{broker")
    with pytest.raises(UserError, match=r"^FACESTREAM_KAFKA: not JSON"):
        load_settings()


@pytest.mark.parametrize("command", [["clusters"], ["status"], ["withdraw", "scan"], ["label", "face", "Ada"]])
def test_a_folder_without_an_archive_is_refused_and_none_is_created_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mistyped"
    monkeypatch.setattr(sys, "argv", ["facestream", *command, "--data", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(f"facestream: no archive in {folder}: name its folder with --data")
    assert not folder.exists()


def described(folder: Path) -> str:
    """A description of an embedder, with its file."""
    network = networks.embedder(folder / "net.onnx")
    return str(networks.described(folder, network, networks.EMBEDDER))


def test_another_embedder_brings_its_own_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACESTREAM_CLUSTERING__DISTANCE")
    assert load_settings().clustering.distance == "calibrated"
    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", described(tmp_path))
    clustering = load_settings().clustering
    assert (clustering.distance, clustering.eps, clustering.eps_max) == ("euclidean", 0.3, 0.5)
    assert clustering.shared_weight == 0
    # What is set counts, in the environment and as an option.
    assert load_settings(clustering={"eps": 0.4}).clustering.eps == 0.4
    monkeypatch.setenv("FACESTREAM_CLUSTERING__EPS", "0.6")
    clustering = load_settings().clustering
    assert (clustering.eps, clustering.eps_max) == (0.6, 0.6)


def test_the_embedder_may_be_set_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACESTREAM_CLUSTERING__DISTANCE")
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "FACESTREAM_MODELS__EMBEDDER").write_text(described(tmp_path))
    monkeypatch.setenv("FACESTREAM_SECRETS", str(folder))
    clustering = load_settings().clustering
    assert (clustering.distance, clustering.eps, clustering.eps_max) == ("euclidean", 0.3, 0.5)


def test_with_another_embedder_the_calibrated_distance_has_its_own_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", described(tmp_path))
    monkeypatch.setenv("FACESTREAM_CLUSTERING__DISTANCE", "calibrated")
    settings = load_settings()
    assert (settings.clustering.eps, settings.clustering.shared_weight) == (0.418, 0.14)
    assert largest_euclidean(settings, connection) == 0.5


def test_the_consumers_of_a_run_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACESTREAM_CLUSTERING__DISTANCE")
    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", described(tmp_path))
    settings = load_settings(clustering={"eps": 0.4})
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_an_embedder_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_MODELS__EMBEDDER", "arcfase")
    with pytest.raises(WeightsError, match="arcfase cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MIN_SCORE", "nan"), ("SAME_SCAN_EPS", "inf"), ("SHARED_WEIGHT", "1e6"), ("MIN_SAMPLES", "1e10")],
)
def test_parameters_that_no_generation_can_have_are_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FACESTREAM_CLUSTERING__{name}", value)
    with pytest.raises(UserError, match=f"FACESTREAM_CLUSTERING__{name}: "):
        load_settings()


@pytest.mark.parametrize("name", ["MODELS__DECODE_DEADLINE_S", "STORES__DEADLINE_S"])
@pytest.mark.parametrize("value", ["inf", "1e300", "0"])
def test_a_deadline_that_no_clock_counts_to_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FACESTREAM_{name}", value)
    with pytest.raises(UserError, match=f"FACESTREAM_{name}: "):
        load_settings()


def test_what_the_desk_looks_for_needs_no_network(tmp_path: Path) -> None:
    assert eps_max_of(described(tmp_path)) == 0.5
    assert eps_max_of("dlib", tmp_path / "not-there.dat") == 0.5
