"""Every metric that the dashboard and the alerts name is one that a process serves, and is documented."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from ruamel.yaml import YAML

from telemetry import metrics

_ROOT = Path(__file__).parents[2]
_ALERTS = _ROOT / "deploy" / "prometheus" / "alerts.yml"
_DASHBOARD = _ROOT / "deploy" / "grafana" / "dashboards" / "facestream.json"
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def families() -> list[Metric]:
    assert metrics.records_read
    return [family for family in REGISTRY.collect() if family.name.startswith("facestream_")]


def series() -> set[str]:
    """All names that a query may use."""
    return {family.name + suffix for family in families() for suffix in _SUFFIXES[family.type]}


def documented() -> set[str]:
    page = (_ROOT / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(facestream_\w+)`", page, re.MULTILINE))


def test_every_metric_is_documented_and_no_other() -> None:
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families()}
    assert documented() == names


@pytest.mark.parametrize("file", [_ALERTS, _DASHBOARD], ids=lambda path: path.name)
def test_every_metric_that_is_asked_for_exists(file: Path) -> None:
    named = set(re.findall(r"facestream_\w+", _queries(file)))
    assert named and named <= series()


def test_all_that_is_served_is_shown_or_watched() -> None:
    queries = _queries(_ALERTS) + _queries(_DASHBOARD)
    unseen = {family.name for family in families() if family.name not in queries}
    assert unseen <= {
        "facestream_generation_info",
        "facestream_indexed_faces",
        "facestream_restore_duration_seconds",
        "facestream_snapshot_duration_seconds",
    }


def test_no_label_can_name_a_person() -> None:
    """Labels have few values, which are fixed or names of groups, topics and generations."""
    labels = {label for family in families() for sample in family.samples for label in sample.labels}
    assert labels <= {"consumer", "topic", "cause", "change", "generation", "stage", "le"}


def test_names_have_base_units_and_descriptions() -> None:
    for family in families():
        assert family.documentation
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)$", family.name), family.name


def test_the_alerts_are_what_prometheus_takes() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: it comes with Debian's package prometheus")
    subprocess.run([promtool, "check", "rules", str(_ALERTS)], check=True, capture_output=True)


def test_every_alert_says_what_to_do() -> None:
    (group,) = YAML(typ="safe").load(_ALERTS)["groups"]
    assert all(rule["annotations"]["description"] and rule["annotations"]["summary"] for rule in group["rules"])


def _queries(file: Path) -> str:
    if file.suffix == ".json":
        panels = json.loads(file.read_text())["panels"]
        return "\n".join(target["expr"] for panel in panels for target in panel["targets"])
    (group,) = YAML(typ="safe").load(file)["groups"]
    return "\n".join(rule["expr"] for rule in group["rules"])
