"""Outputs that are committed in several transactions where they are too many for one.

The rule that a killed process finishes: each transaction but the last one leaves the offsets where they are, and
commits beside them, as checkpoint metadata, that a publication is unfinished (`Unfinished`) and the offsets after its
batch. So a restart restores the step at these later offsets, the state that the outputs came from. The step then
compares this state with the topics and returns what is left (`RestoredStep.reconcile`). The last transaction commits
the offsets. Until then the batch counts as lag, and nothing of it is processed a second time.

Only a step that can reconcile may return a `Publication`. The outputs of other steps are committed in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stream.records import Headers, Output, Publication, Unfinished

# CloudEvents attributes of the records of a publication that takes several transactions.
DELTA, CHUNK = "ce_delta", "ce_chunk"


@dataclass(frozen=True)
class Chunk:
    """The outputs of one transaction, with their further headers. unfinished: None in the last one."""

    outputs: Sequence[tuple[Output, Headers]]
    unfinished: Unfinished | None


def chunks(publication: Publication, unfinished: Unfinished, size: int, *, resumed: bool = False) -> Iterator[Chunk]:
    """The transactions that a publication takes, of at most `size` outputs and all rejected records; at least one.

    A small publication is one chunk without further headers. `unfinished` is what to commit beside a first chunk; where
    it was committed before, `resumed`, even a small publication has its headers. Outputs of `keyed` and of `log` are
    never in one transaction, so that readers see all of `keyed` before the first of `log`.
    """
    keyed, log = publication.keyed, publication.log
    rejected: list[tuple[Output, Headers]] = [(record, ()) for record in publication.rejected]
    if not resumed and len(keyed) + len(log) <= size:
        yield Chunk([*rejected, *((output, ()) for output in (*keyed, *log))], None)
        return
    starts = [(False, start) for start in range(0, len(keyed), size)]
    starts += [(True, start) for start in range(0, len(log), size)]
    if not starts:
        yield Chunk(rejected, None)
    for number, (is_log, start) in enumerate(starts, 1):
        common: Headers = ((DELTA, unfinished.delta.encode()), (CHUNK, f"{number}/{len(starts)}".encode()))
        outputs: list[tuple[Output, Headers]]
        if is_log:
            outputs = [(event, common) for event in log[start : start + size]]
            unfinished = replace(unfinished, logged=unfinished.logged + len(outputs))
        else:
            outputs = [(output, common + publication.headers(output)) for output in keyed[start : start + size]]
        # Rejected records are not in the state, so a restart could not return them.
        outputs = [*(rejected if number == 1 else ()), *outputs]
        yield Chunk(outputs, unfinished if number < len(starts) else None)
