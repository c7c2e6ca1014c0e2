"""What subscribers rely on, as documents for their tools: an AsyncAPI 3.0 document, and a JSON Schema of each event.

Both follow from the events and topics of this package; `make contract` writes them into docs/contract/. The schemas are
draft 07 of JSON Schema, which AsyncAPI's own schemas extend. They describe what may be read: a field that has a default
need not be there, since records of earlier versions lack it. Rules that JSON Schema cannot express, such as columns of
one length, are checked by `schemas.codec` alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.base import Event
from schemas.codec import SOURCE, encode, tombstone_type
from schemas.dead_letters import encode_dead_letter
from schemas.erasures import KEPT_ONLY
from schemas.examples import EXAMPLES, LETTER, NOON
from schemas.topics import (
    ASSIGNMENTS,
    CLUSTERS,
    DEAD_LETTERS,
    FACES,
    NEIGHBOURS,
    SCANS,
    TOPICS,
    Record,
    Tombstone,
    Topic,
)

ASYNCAPI = "asyncapi.json"
"""The name of the AsyncAPI document; the schema of an event is called after its type."""

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_SOME = 1_000_000

# What the headers of a delta that takes several transactions say (docs/clustering.md).
_OF_DELTAS: Json = {
    "ce_delta": _TEXT | {"description": "The id of a delta that takes several transactions."},
    "ce_chunk": {
        "type": "string",
        "pattern": "^[0-9]+/[0-9]+$",
        "description": "`3/7`: of the third of the delta's seven transactions.",
    },
}
# Of a record that an operator has sent again (facestream dead-letters retry).
_RETRIED: Json = {
    "retry_attempts": {"type": "string", "pattern": "^[0-9]+$", "description": "How often it was sent again."}
}
_COPY: Json = {"ce_copy": _TEXT | {"description": "A record of before, written once more because of this erasure."}}
_KEPT_ONLY: Json = {KEPT_ONLY: _TEXT | {"description": "Nothing but the faces to keep has changed, by an erasure."}}
_FORMER: Json = {"ce_former": _TEXT | {"description": "Role and cluster of the face before the delta; empty if none."}}

# Topics beside which generations have their own (schemas.topics.of_generation).
_OF_GENERATIONS = (FACES, NEIGHBOURS, ASSIGNMENTS, CLUSTERS)
_GENERATION: Json = {
    "description": "The name of a generation other than `blue`: small letters and digits. Its record in `generations` "
    "names its topics, and the record of the key `live` those to follow (docs/subscribing.md).",
    "examples": ["green"],
}

_WHAT = {
    "scans": "The scans to analyse, as the feed published them.",
    "faces": "The analyses of scans, with all faces. A record's offset is the number of its analysis.",
    "references": "The references that distances are calibrated with.",
    "neighbours": "The neighbours of the faces of each analysis.",
    "labels": "The decisions of archivists.",
    "assignments": "The cluster, role and labels of each live face.",
    "clusters": "The change log of clusters.",
    "erasures": "What was erased, without personal data: consumers keep to it.",
    "generations": "Clusterings with parameters of their own, and which of them is live.",
    "dead-letters": "Records that could not be used, byte for byte, with the reason.",
}


def documents() -> dict[str, str]:
    """The text of each document by the name of its file."""
    files = {f"{event.type}.json": _schema(event) for topic in TOPICS for event in topic.events}
    files[ASYNCAPI] = asyncapi()
    return {name: json.dumps(file, indent=2, ensure_ascii=False) + "\n" for name, file in files.items()}


def asyncapi() -> Json:
    """The AsyncAPI document. The payloads of its messages are the schemas beside it."""
    channels = {topic.name: _channel(topic) for topic in TOPICS}
    channels |= {f"{topic.name}-generation": _channel_of_generations(topic) for topic in _OF_GENERATIONS}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Facestream",
            "version": "1",
            "description": (
                "The topics of Facestream. Every record is a CloudEvent 1.0 in Kafka's binary mode: the attributes are "
                "`ce_` headers, the value is JSON. Read committed records only (isolation.level=read_committed), and "
                "ignore fields and headers that you do not know. docs/subscribing.md has examples, docs/upgrading.md "
                "what may change."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "embedded": {
                "host": "127.0.0.1:{port}",
                "protocol": "kafka",
                "description": "The embedded broker. data/kafka/client.conf has its port and the password.",
                "variables": {"port": {"description": "Made at the first start, and kept."}},
                "security": [{"$ref": "#/components/securitySchemes/password"}],
            },
            "own": {
                "host": "{address}",
                "protocol": "kafka",
                "description": "A broker of your own, secured as you have set it up.",
                "variables": {"address": {"description": "FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"}},
            },
        },
        "channels": channels,
        "operations": {
            f"publish-{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": channel["description"],
            }
            for name, channel in channels.items()
        },
        "components": {
            "messages": {name: message for topic in TOPICS for name, message in _messages(topic)},
            "securitySchemes": {"password": {"type": "plain", "description": "SASL/PLAIN over plain text."}},
        },
    }


def _channel(topic: Topic) -> Json:
    config = topic.config
    deletion = {name: int(value) for name, value in config.items() if name.endswith(".ms")}
    return {
        "address": topic.name,
        "description": _WHAT[topic.name],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _messages(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": [config["cleanup.policy"]], **deletion},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _channel_of_generations(topic: Topic) -> Json:
    """The topics that generations have beside one, with the same messages."""
    channel = _channel(topic)
    kafka = {name: value for name, value in channel["bindings"]["kafka"].items() if name != "topic"}
    return channel | {
        "address": f"{topic.name}-{{generation}}",
        "description": f"As in `{topic.name}`, of a generation beside the first one.",
        "parameters": {"generation": _GENERATION},
        "bindings": {"kafka": kafka},
    }


def _messages(topic: Topic) -> Iterator[tuple[str, Json]]:
    """The messages of a topic, each with its name."""
    if topic is DEAD_LETTERS:
        yield "dead-letter", _dead_letter()
        return
    more = _OF_DELTAS if topic in (ASSIGNMENTS, CLUSTERS) else {}
    more = more | _FORMER if topic is ASSIGNMENTS else more
    more = more | _KEPT_ONLY if topic is SCANS else more
    more = more | _COPY if topic is CLUSTERS else more
    for event in topic.events:
        example = EXAMPLES[event]
        yield (
            event.type,
            _message(
                topic,
                event.type,
                _headers(event.type, more | {"content-type": {"const": "application/json"}}),
                {"$ref": f"./{event.type}.json"},
                encode(example, event_id="1c4d9e7a", time=NOON),
            ),
        )
    if topic.retention is None:
        kind = tombstone_type(topic)
        gone = encode(Tombstone(topic, "some-key"), event_id="1c4d9e7a", time=NOON)
        nothing: Json = {"type": "null", "description": "A record without a value deletes its key."}
        yield kind, _message(topic, kind, _headers(kind, more), nothing, gone)


def _message(topic: Topic, name: str, headers: Json, payload: Json, example: Record) -> Json:
    value = None if example.value is None else json.loads(example.value)
    return {
        "name": name,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": _TEXT | {"description": topic.key}, "bindingVersion": "0.5.0"}},
        "examples": [{"headers": _texts(example), "payload": value}],
    }


def _headers(kind: str, more: Json) -> Json:
    attributes: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_type": {"const": kind},
        "ce_id": _TEXT | {"minLength": 1, "description": "With ce_source, identifies the event."},
        "ce_source": {"type": "string", "pattern": f"^{SOURCE}(/.+)?$"},
        "ce_time": _TIME | {"description": "When the event was made."},
    }
    always = [*attributes, *(name for name in more if name == "content-type")]
    optional = _RETRIED | {"traceparent": _TEXT | {"description": "The trace of the scan (W3C Trace Context)."}}
    return {"type": "object", "properties": attributes | more | optional, "required": always}


def _dead_letter() -> Json:
    number = {"type": "string", "pattern": "^[0-9]+$"}
    required: Json = {
        "dead_letter_topic": _TEXT | {"description": "Where the original record is."},
        "dead_letter_partition": number,
        "dead_letter_offset": number,
        "dead_letter_consumer": _TEXT | {"description": "The consumer that could not use it."},
        "dead_letter_time": _TIME,
    }
    optional: Json = {
        "dead_letter_reason": _TEXT | {"description": "Why; absent where the record settles a dead letter."},
        "dead_letter_settled": {
            "enum": ["retried", "dropped"],
            "description": "The dead letter of this topic, partition, offset and consumer is done with.",
        },
        "dead_letter_size": number | {"description": "Of an original that is too large, the bytes of its value."},
        "dead_letter_sha256": _TEXT | {"description": "The checksum of that value, of which the beginning is here."},
        "dead_letter_null_headers": _TEXT | {"description": "The numbers of headers that had no value."},
    }
    example = encode_dead_letter(LETTER, _SOME)
    return {
        "name": "dead-letter",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "description": "The headers of the original, and after them those that begin with dead_letter_.",
            "properties": required | optional,
            "required": list(required),
        },
        "payload": {"description": "The value of the original, byte for byte; none in a record that settles."},
        "bindings": {
            "kafka": {"key": {"description": "The key of the original; of one that settles, the dead letter's id."}}
        },
        "examples": [{"headers": _texts(example), "payload": (example.value or b"").decode()}],
    }


def _texts(record: Record) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in record.headers}


def _schema(event: type[Event]) -> Json:
    schema = event.model_json_schema(
        ref_template="#/definitions/{model}", schema_generator=_WithoutFieldTitles, mode="validation"
    )
    definitions = schema.pop("$defs", None)
    example = json.loads(EXAMPLES[event].model_dump_json())
    whole: Json = _flowing(
        {"$schema": "http://json-schema.org/draft-07/schema#"}
        | schema
        | ({"definitions": definitions} if definitions else {})
        | {"examples": [example]}
    )
    return whole


class _WithoutFieldTitles(GenerateJsonSchema):
    """A title that repeats the name of a field is left out; a pair of numbers is written as draft 07 has it."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        described = super().tuple_schema(schema)
        items = described.pop("prefixItems", None)
        if items:
            described["items"] = items[0] if all(item == items[0] for item in items) else items
        return described


def _flowing(schema: Any) -> Any:  # noqa: ANN401
    """The same with descriptions whose lines do not end where those of the docstrings do."""
    if isinstance(schema, dict):
        return {
            name: "\n\n".join(" ".join(part.split("\n")) for part in it.split("\n\n"))
            if name == "description" and isinstance(it, str)
            else _flowing(it)
            for name, it in schema.items()
        }
    return [_flowing(it) for it in schema] if isinstance(schema, list) else schema


def write(folder: Path) -> None:
    """Write the documents into a folder, and delete schemas there of events that are no more. Raises OSError."""
    found = documents()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
