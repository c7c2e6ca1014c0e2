"""The contract with subscribers (docs/contract) is that of the code, and what others' validators accept.

Write it again after a change that is meant: `make contract` (see CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas.codec import decode
from schemas.contract import ASYNCAPI, documents, write
from schemas.examples import EXAMPLES
from schemas.generations import GenerationDefined
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    FACES,
    NEIGHBOURS,
    TOPICS,
    Record,
    generation_of,
    topic_named,
    topic_of,
)
from stream.chunks import CHUNK, DELTA
from stream.generations import Generations
from tests.builders.tools import missing, tool

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs" / "contract"
VALIDATOR = Path(__file__).parent / "validator" / "validate.cjs"
INSTALLED = ROOT / ".tools" / "asyncapi" / "node_modules"

Validate = Callable[[Path], "subprocess.CompletedProcess[str]"]

EVENTS = [event for topic in TOPICS for event in topic.events]


def asyncapi() -> Any:  # noqa: ANN401
    return json.loads((CONTRACT / ASYNCAPI).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validate() -> Validate:
    """AsyncAPI's own parser."""
    node = tool("node")
    if not INSTALLED.is_dir():
        missing("AsyncAPI's validator")

    def run(document: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [node, str(VALIDATOR), str(document)],
            env=os.environ | {"NODE_PATH": str(INSTALLED)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_the_documents_are_those_of_the_code() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in CONTRACT.iterdir()} == documents()


def test_documents_of_events_that_are_no_more_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "facestream.face.of-another-time.v1.json").write_text("{}")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(documents())


def test_every_event_has_an_example_that_can_be_read() -> None:
    assert set(EXAMPLES) == set(EVENTS)
    for message in asyncapi()["components"]["messages"].values():
        kind = message["headers"]["properties"].get("ce_type", {}).get("const", "")
        if ".tombstone." in kind or not kind:
            continue
        event = next(event for event in EVENTS if event.type == kind)
        (example,) = message["examples"]
        Draft7Validator(message["headers"]).validate(example["headers"])
        headers = tuple((name, text.encode()) for name, text in example["headers"].items())
        key = EXAMPLES[event].key.encode()
        read = decode(topic_of(EXAMPLES[event]), Record(key, json.dumps(example["payload"]).encode(), headers))
        assert read == EXAMPLES[event]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_schemas_and_their_examples_are_valid(event: Any) -> None:  # noqa: ANN401
    schema = json.loads((CONTRACT / f"{event.type}.json").read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    validator = Draft7Validator(schema)
    for example in schema["examples"]:
        validator.validate(example)
        # Without a field that it needs, and with one of a later version.
        for name in schema["required"]:
            assert not validator.is_valid({key: value for key, value in example.items() if key != name})
        assert validator.is_valid(example | {"of_a_later_version": 1})


def test_the_document_has_every_topic_as_it_is_made() -> None:
    channels = {name: channel for name, channel in asyncapi()["channels"].items() if "parameters" not in channel}
    assert set(channels) == {channel["address"] for channel in channels.values()} == {topic.name for topic in TOPICS}
    for name, channel in channels.items():
        kafka = channel["bindings"]["kafka"]
        topic = topic_named(name)
        config = {
            key: ",".join(value) if isinstance(value, list) else str(value)
            for key, value in kafka["topicConfiguration"].items()
        }
        assert (kafka["topic"], kafka["partitions"], config) == (topic.name, topic.partitions, topic.config)
        tombstones = [] if topic.retention else [f"facestream.{name}.tombstone.v1"]
        kinds = [event.type for event in topic.events] + tombstones
        assert list(channel["messages"]) == (["dead-letter"] if topic is DEAD_LETTERS else kinds)


def test_the_document_has_every_topic_that_a_generation_may_have() -> None:
    channels = {channel["address"]: channel for channel in asyncapi()["channels"].values() if "parameters" in channel}
    own_topics = {topic.name: f"{topic.name}-green" for topic in (FACES, NEIGHBOURS, ASSIGNMENTS, CLUSTERS)}
    with_all = EXAMPLES[GenerationDefined].model_copy(update={"name": "green", **own_topics})
    assert isinstance(with_all, GenerationDefined)
    own = {topic.name: topic for topic in Generations({"green": with_all}).topics if topic.name.endswith("-green")}
    assert {address.format(generation="green") for address in channels} == set(own) and len(own) == 4
    for address, channel in channels.items():
        kafka, topic = channel["bindings"]["kafka"], own[address.format(generation="green")]
        assert (kafka["partitions"], list(channel["parameters"])) == (topic.partitions, ["generation"])
        assert channel["messages"] == asyncapi()["channels"][generation_of(topic.name)[0]]["messages"]


def test_the_headers_of_large_deltas_are_called_as_the_loop_calls_them() -> None:
    headers = asyncapi()["components"]["messages"]["facestream.cluster.changed.v1"]["headers"]
    assert {DELTA, CHUNK} < set(headers["properties"])


def test_the_validator_of_asyncapi_accepts_the_document(validate: Validate) -> None:
    done = validate(CONTRACT / ASYNCAPI)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def no_title(document: Any) -> None:  # noqa: ANN401
    del document["info"]["title"]


def missing_schema(document: Any) -> None:  # noqa: ANN401
    document["components"]["messages"]["facestream.face.assigned.v1"]["payload"] = {"$ref": "./nowhere.json"}


def no_such_type(document: Any) -> None:  # noqa: ANN401
    headers = document["components"]["messages"]["facestream.face.assigned.v1"]["headers"]
    headers["properties"]["ce_delta"]["type"] = "word"


@pytest.mark.parametrize(
    ("break_it", "where"),
    [(no_title, "info"), (missing_schema, "nowhere.json"), (no_such_type, "ce_delta")],
)
def test_the_validator_refuses_a_document_with_a_fault(
    validate: Validate, tmp_path: Path, break_it: Callable[[Any], None], where: str
) -> None:
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    faulty = asyncapi()
    break_it(faulty)
    (tmp_path / ASYNCAPI).write_text(json.dumps(faulty))
    done = validate(tmp_path / ASYNCAPI)
    assert done.returncode == 1
    assert where in done.stdout
