"""The embedded broker's jars: fetched by a real Maven, and the errors where something is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.errors import LocalServiceError
from local.jars import DEPLOY, jars, java

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>facestream</groupId><artifactId>test</artifactId><version>1</version><packaging>pom</packaging>
  <properties><kafka.version>test</kafka.version></properties>
  <dependencies><dependency>
    <groupId>org.slf4j</groupId><artifactId>{artifact}</artifactId><version>1.7.36</version>
  </dependency></dependencies>
</project>
"""


@pytest.mark.broker
def test_two_that_ask_at_once_get_one_folder_and_nothing_is_left_aside(tmp_path: Path) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_text(_POM.format(artifact="slf4j-api"))
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: jars(pom, cache), range(2))
    assert first == second
    assert [path.name for path in cache.iterdir()] == [first.name]
    assert first.name.startswith("kafka-test-")
    assert [path.name for path in first.iterdir()] == ["slf4j-api-1.7.36.jar"]


@pytest.mark.broker
def test_what_maven_cannot_find_is_said_in_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_text(_POM.format(artifact="no-such-artifact-of-slf4j"))
    with pytest.raises(LocalServiceError, match=r"^Maven could not fetch .*no-such-artifact-of-slf4j[^\n]*$"):
        jars(pom, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.broker
def test_the_pinned_jars_hold_the_broker() -> None:
    names = {path.name for path in jars().iterdir()}
    version = next(name for name in names if name.startswith("kafka_2.13-")).removeprefix("kafka_2.13-")
    assert {f"kafka-clients-{version}", f"kafka-server-{version}"} <= names
    assert version.removesuffix(".jar") in (DEPLOY / "pom.xml").read_text()


def test_missing_maven_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalServiceError, match="apt-get install maven"):
        jars(cache=tmp_path / "cache")


def test_missing_java_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LocalServiceError, match="apt-get install default-jre-headless"):
        java()
