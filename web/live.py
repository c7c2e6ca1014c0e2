"""`GET /events`: what happens while a page is open, as server-sent events.

`progress` is how far the detection is. `news` says that what the page shows has changed: the page is not swapped away
under the viewer, but says so and offers to show it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog
from psycopg import Error
from psycopg_pool import PoolTimeout
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from catalogue import browse, reader
from catalogue.browse import Members
from web.desk import Desk, desk_of
from web.faces import last_decision
from web.pages.next import has_next
from web.render import texts
from web.strings import Words

log = structlog.get_logger()

_EVERY_S = 1.0
_PING_S = 15
# Counting an archive of millions takes a while, so it is done for all pages together.
_COUNTED_EVERY_S = 2.0


@dataclass(frozen=True)
class _Watched:
    """What the page shows: a cluster and the digest of its faces, a face and its last decision, or an empty queue.

    skipped: the faces that are not to be in that queue.
    """

    cluster_id: str
    seen: str
    face_id: str
    last: str
    queue: bool
    skipped: Sequence[str]

    def news(self, desk: Desk, t: Words) -> dict[str, object] | None:
        """What is no longer as the page shows it; None where all is."""
        if self.face_id:
            with desk.writer.reading() as decisions:
                if last_decision(decisions, self.face_id) != self.last:
                    return {"text": t.text("decided-here"), "key": last_decision(decisions, self.face_id)}
        if self.cluster_id:
            members: Members = desk.kept.get(
                ("members", self.cluster_id),
                lambda: desk.read(lambda connection: browse.members(connection, self.cluster_id)),
                fresh_s=_EVERY_S / 2,
                oldest_s=2 * _EVERY_S,
            )
            if members.digest != self.seen:
                text = t.text("changed-here", size=members.size) if members.size else t.text("gone-here")
                return {"text": text, "key": members.digest}
        if self.queue and has_next(desk, self.skipped):
            return {"reload": True, "key": "queue"}
        return None


def events(request: Request) -> Response:
    """The events for a page, which names what it shows."""
    desk, t = desk_of(request), texts(request)
    field = request.query_params.get
    watched = _Watched(
        cluster_id=field("cluster", ""),
        seen=field("seen", ""),
        face_id=field("face", ""),
        last=field("last", ""),
        queue=field("watch") == "queue",
        skipped=request.query_params.getlist("skip"),
    )
    return EventSourceResponse(_events(desk, watched, t), ping=_PING_S)


async def _events(desk: Desk, watched: _Watched, t: Words) -> AsyncIterator[ServerSentEvent]:
    progress, key = "", None
    while not desk.ending.is_set():
        try:
            now = await run_in_threadpool(_progress, desk, t)
            news = await run_in_threadpool(watched.news, desk, t)
        except (Error, PoolTimeout) as error:
            log.warning("no live events", reason=type(error).__name__)
            return
        if now != progress:
            progress = now
            yield ServerSentEvent(event="progress", data=progress)
        if news is not None and news["key"] != key:
            key = news["key"]
            yield ServerSentEvent(event="news", data=json.dumps(news))
        await asyncio.sleep(_EVERY_S)


def _progress(desk: Desk, t: Words) -> str:
    counts = desk.kept.get("counts", lambda: desk.read(reader.counts), fresh_s=_COUNTED_EVERY_S, oldest_s=30.0)
    done = counts.analysed + counts.dead_scans
    if not counts.scans:
        return t.text("progress-empty")
    key = "progress-done" if done >= counts.scans else "progress-running"
    return t.text(key, done=f"{done:,}", scans=f"{counts.scans:,}")
