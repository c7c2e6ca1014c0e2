"""The compose file, as far as it can be held to account without a container engine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.supervisor import CONSUMERS
from local.jars import jars, java
from settings import Settings

_ROOT = Path(__file__).parents[2]
_FILE = _ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file with its anchors merged and its ${NAME:-default} at their defaults."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", _FILE.read_text())
    loaded: dict[str, Any] = YAML(typ="safe").load(text)
    return loaded


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    """The services that run the project's own images."""
    return {name: service for name, service in compose["services"].items() if service["image"].startswith("facestream")}


def _has_database(service: str) -> bool:
    return service in ("catalogue", "catalogue-generation", "desk")


def test_every_consumer_has_a_service_and_so_has_the_desk(compose: dict[str, Any]) -> None:
    assert len(ours(compose)) > len(CONSUMERS) > 0
    assert {service["command"][0] for service in ours(compose).values()} == {*CONSUMERS, "desk"}


def test_every_service_names_a_broker_and_the_catalogue_and_the_desk_a_database(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = ours(compose)
    assert "catalogue" in services
    for name, service in services.items():
        with monkeypatch.context() as environment:
            assert service["environment"]
            for variable, value in service["environment"].items():
                assert variable.removeprefix("FACESTREAM_").split("__")[0].lower() in Settings.model_fields
                environment.setenv(variable, value)
            settings = Settings()
        assert settings.kafka.bootstrap_servers == "kafka:9092"
        assert (settings.database.url is not None) == _has_database(name)


def test_every_service_waits_for_what_it_needs_until_that_is_healthy(compose: dict[str, Any]) -> None:
    services = ours(compose)
    assert "catalogue" in services
    for name, service in services.items():
        needs = {"kafka", "postgres"} if _has_database(name) else {"kafka"}
        assert service["depends_on"] == {need: {"condition": "service_healthy"} for need in needs}
        assert all("healthcheck" in compose["services"][need] for need in needs)


def test_the_scans_are_mounted_read_only(compose: dict[str, Any]) -> None:
    for name in ("detect", "detect-gpu", "detect-generation", "catalogue", "desk"):
        assert ours(compose)[name]["volumes"][0] == "./scans:/scans:ro"


def test_the_desk_is_not_started_unasked_and_only_this_machine_reaches_its_port(compose: dict[str, Any]) -> None:
    desk = ours(compose)["desk"]
    assert desk["profiles"] == ["desk"]
    assert desk["ports"] == ["127.0.0.1:8000:8000"]


def test_snapshots_outlive_their_container(compose: dict[str, Any]) -> None:
    for name in ("index", "cluster", "index-generation", "cluster-generation"):
        assert ours(compose)[name]["volumes"] == ["snapshots:/home/facestream/data"]


def test_what_commands_know_of_the_topics_outlives_the_container_that_they_are_run_in(compose: dict[str, Any]) -> None:
    assert ours(compose)["catalogue"]["volumes"][1:] == [
        "topics:/home/facestream/data",
        "erasures:/home/facestream/data/erasures",
    ]


def test_whatever_finds_faces_has_the_key_of_erasures(compose: dict[str, Any]) -> None:
    detecting = [service for service in ours(compose).values() if service["command"][0] == "detect"]
    assert len(detecting) == 3
    for service in detecting:
        assert service["volumes"][1:] == ["erasures:/home/facestream/data/erasures:ro"]


def test_the_consumers_of_a_generation_are_those_of_its_name_and_not_started_unasked(compose: dict[str, Any]) -> None:
    services = {name: service for name, service in ours(compose).items() if "--generation" in service["command"]}
    assert {name: (service["command"], service["profiles"]) for name, service in services.items()} == {
        "cluster-generation": (["cluster", "--generation", "green"], ["generation"]),
        "catalogue-generation": (["catalogue", "--generation", "green"], ["generation"]),
        "detect-generation": (["detect", "--generation", "green"], ["generation-detect"]),
        "index-generation": (["index", "--generation", "green"], ["generation-index"]),
    }
    assert _FILE.read_text().count("${GENERATION:-green}") == len(services)


def test_prometheus_looks_for_every_service(compose: dict[str, Any]) -> None:
    (job,) = YAML(typ="safe").load(_ROOT / "deploy" / "prometheus" / "prometheus.yml")["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert {*found["names"]} == {*ours(compose)}


def test_only_the_service_of_the_gpu_profile_reserves_a_gpu(compose: dict[str, Any]) -> None:
    reserving = {name for name, service in ours(compose).items() if "resources" in service.get("deploy", {})}
    assert reserving == {name for name, service in ours(compose).items() if service.get("profiles") == ["gpu"]}
    assert reserving == {"detect-gpu"}


def test_the_broker_is_of_the_version_of_the_embedded_one(compose: dict[str, Any]) -> None:
    image = compose["services"]["kafka"]["image"]
    assert (
        f"<kafka.version>{image.removeprefix('apache/kafka:')}</kafka.version>"
        in (_ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    )


@pytest.mark.broker
def test_the_set_up_of_the_kafka_image_accepts_the_brokers_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    """Runs the program that the image starts with, on the mounted file and the service's environment."""
    kafka = compose["services"]["kafka"]
    mounted, inside, _ = kafka["volumes"][0].split(":")
    assert Path(inside) == Path("/mnt/shared/config/server.properties")
    folders = {name: tmp_path / name for name in ("default_configs_dir", "final_configs_dir")}
    for folder in folders.values():
        folder.mkdir()
    options = [f"--{name.replace('_', '-')}={folder}" for name, folder in folders.items()]
    environment = kafka["environment"] | {"KAFKA_LOG_DIRS": str(tmp_path / "data")}
    done = subprocess.run(
        [
            *(java(), "-XX:-UsePerfData", "-cp", f"{jars()}/*", "kafka.docker.KafkaDockerWrapper", "setup"),
            *(*options, f"--mounted-configs-dir={(_ROOT / mounted).parent}"),
        ],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"cluster.id={environment['CLUSTER_ID']}" in (tmp_path / "data" / "meta.properties").read_text()
    settings = (folders["final_configs_dir"] / "server.properties").read_text()
    assert "auto.create.topics.enable=false" in settings
    assert "advertised.listeners=PLAINTEXT://kafka:9092,HOST://localhost:29092" in settings
