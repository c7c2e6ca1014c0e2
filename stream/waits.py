"""What detect waits for, as the checkpoint metadata beside its offsets: so that `status` and `run` can report it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from stream.lag import LagReader
from stream.stages import DETECT, kind_of

# Kafka takes 4096 bytes.
_LONGEST_METADATA = 3000
_LONGEST_REASON = 300


class Wait(BaseModel):
    """A store that is unavailable, the number of scans that wait for it, and what happened last."""

    model_config = ConfigDict(frozen=True)

    store: str
    scans: int
    reason: str

    @property
    def line(self) -> str:
        """For a person."""
        return f"{self.scans:,} {'scan waits' if self.scans == 1 else 'scans wait'} for {self.store}: {self.reason}"


_WAITS = TypeAdapter(list[Wait])


def encode(waits: Iterable[Wait]) -> str:
    """As many as fit, those with most scans first; "" for none."""
    fitting: list[Wait] = []
    for wait in sorted(waits, key=lambda wait: -wait.scans):
        short = wait.model_copy(update={"store": wait.store[:_LONGEST_REASON], "reason": wait.reason[:_LONGEST_REASON]})
        if len(_WAITS.dump_json([*fitting, short])) > _LONGEST_METADATA:
            break
        fitting.append(short)
    return _WAITS.dump_json(fitting).decode() if fitting else ""


def decode(metadata: Sequence[str]) -> list[Wait]:
    """What all members of detect wait for, of their checkpoint metadata. A store may be in it once for each member."""
    return [wait for text in metadata for wait in _WAITS.validate_json(text)]


def waiting(reader: LagReader, groups: Iterable[str]) -> list[Wait]:
    """What those of these consumer groups wait for that are of detect, of the archive or of a generation."""
    detecting = [group for group in groups if kind_of(group) == DETECT]
    return decode([text for group in detecting for text in reader.all_checkpoint_metadata(group)])
