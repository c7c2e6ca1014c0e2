"""The Kubernetes manifests, as far as they can be held to account without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from cli.common import load_settings
from cli.supervisor import CONSUMERS
from settings import Settings
from stream.erasures import folder_of

_FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
_KUSTOMIZATION = "kustomization.yaml"


def documents() -> list[tuple[str, dict[str, Any]]]:
    """All manifests, with the file that each is in."""
    return [
        (path.name, document)
        for path in sorted(_FOLDER.glob("*.yaml"))
        if path.name != _KUSTOMIZATION
        for document in YAML(typ="safe").load_all(path)
    ]


def workloads() -> dict[str, dict[str, Any]]:
    """The pod of each workload."""
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for _, document in documents()
        if document["kind"] in ("StatefulSet", "Deployment")
    }


@pytest.mark.parametrize(("file", "document"), documents(), ids=lambda it: it if isinstance(it, str) else it["kind"])
def test_every_manifest_is_one_of_kubernetes(file: str, document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.33", strict=True)
    assert file


def test_the_kustomization_names_every_file() -> None:
    named = YAML(typ="safe").load(_FOLDER / _KUSTOMIZATION)["resources"]
    assert sorted(named) == sorted({file for file, _ in documents()})


def test_every_consumer_has_a_workload_and_so_has_the_desk() -> None:
    found = {pod["containers"][0]["args"][0] for pod in workloads().values()}
    assert found == {*CONSUMERS, "desk"}


def test_the_settings_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (settings,) = (document["data"] for _, document in documents() if document["kind"] == "ConfigMap")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FACESTREAM_SECRETS", str(tmp_path))
    (tmp_path / "FACESTREAM_KAFKA__SASL_PASSWORD").write_text("secret")
    loaded = load_settings()
    assert loaded.kafka.replication_factor == 3 and loaded.metrics.port == 9100
    assert loaded.kafka.sasl_password is not None and loaded.data == Path("/data")


def test_every_pod_is_asked_for_its_health_has_limits_and_runs_as_nobody_in_particular() -> None:
    for pod in workloads().values():
        (container,) = pod["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        assert pod["securityContext"]["runAsNonRoot"]


def test_secrets_are_files_and_nothing_else() -> None:
    for pod in workloads().values():
        (container,) = pod["containers"]
        assert {"name": "secrets", "mountPath": "/run/secrets/facestream", "readOnly": True} in container[
            "volumeMounts"
        ]
        assert not any("valueFrom" in variable for variable in container.get("env", ()))


def test_detect_has_the_key_of_erasures_where_there_is_one() -> None:
    pod = workloads()["detect"]
    mounted = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert Path(mounted["erasures"]) == folder_of(Settings(data=Path(mounted["data"])))
    (secret,) = (one["secret"] for one in pod["volumes"] if one["name"] == "erasures")
    assert secret["optional"], "an archive from which nothing was erased has none"
