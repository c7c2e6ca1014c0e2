"""The page of operators: what it shows, that it renews itself, and who sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from psycopg_pool import PoolTimeout
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from catalogue.reader import Counts
from errors import Fatal
from settings import DeskSettings
from tests.builders.clock import now
from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, wait_for
from web.access import Access
from web.app import create_app
from web.board import Board
from web.desk import Desk


@pytest.fixture
def desk(archive: DeskArchive) -> Iterator[Desk]:
    """A desk on the archive that is not served."""
    with Desk(archive.settings, now) as opened:
        yield opened


def row(page: Page, name: str) -> str:
    """The text of the row of this name."""
    return page.get_by_role("row", name=name).inner_text()


def test_the_page_shows_consumers_counts_and_generations_and_renews_itself(
    archive: DeskArchive, new_page: NewPage, scans: Path
) -> None:
    page = new_page("/operate/status")
    expect(page.get_by_role("heading", level=1)).to_have_text("Status")
    assert row(page, "index faces").split()[:4] == ["index", "faces", "1", "0"]
    assert row(page, "blue").split()[:2] == ["blue", "live"]
    page.locator("#scroll-consumers").focus()
    archive.publish(scans, 0, 0, range(3))
    archive.wait_until_done()
    # No consumer of scans runs here.
    expect(page.get_by_text("3 records wait for detect, and nobody runs it.")).to_be_visible()
    wait_for(page, "[...document.querySelectorAll('tr')].some(it => /^scans\\s+3\\s/.test(it.innerText))")
    assert page.evaluate("document.activeElement.id") == "scroll-consumers"
    page.route("**/operate/board", lambda route: route.abort())
    expect(page.get_by_text("The desk does not answer. It is tried again.")).to_be_visible()
    page.unroute("**/operate/board")
    expect(page.get_by_text("The desk does not answer. It is tried again.")).to_have_count(0)
    page.get_by_role("link", name="Stand still").click()
    expect(page.get_by_role("link", name="Show what happens")).to_be_visible()
    assert page.locator("[hx-trigger]").count() == 0


def test_operators_alone_see_it(desk: Desk) -> None:
    settings = DeskSettings(
        url="https://testserver",
        proxy_header="X-Remote-User",
        proxy_peers=("10.0.0.5",),
        decide=("mari",),
        operate=("ott",),
    )
    client = TestClient(create_app(desk, Access(settings, "local")), "https://testserver", client=("10.0.0.5", 1))
    mari, ott = {"X-Remote-User": "mari"}, {"X-Remote-User": "ott"}
    assert "/operate/status" not in client.get("/people", headers=mari).text
    assert client.get("/operate/status", headers=mari).status_code == 403
    assert client.get("/operate/board", headers=mari).status_code == 403
    assert '<a href="/operate/status" aria-current="page">' in client.get("/operate/status", headers=ott).text


def test_where_a_service_is_away_the_page_says_so_and_asks_again(desk: Desk, archive: DeskArchive) -> None:
    def away() -> Counts:
        raise Fatal("PostgreSQL does not answer")

    desk.board = Board(archive.settings.kafka, away, now)
    client = TestClient(
        create_app(desk, Access(DeskSettings(), "local")), "http://127.0.0.1:8000", client=("127.0.0.1", 1)
    )
    answer = client.get("/operate/status")
    assert answer.status_code == 503
    assert "The archive does not answer" in answer.text
    assert "every 2s" in answer.text
    assert client.get("/operate/board").status_code == 503


def test_a_part_that_cannot_be_shown_does_not_become_a_page_within_the_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise PoolTimeout

    monkeypatch.setattr(desk, "people", away)
    client = TestClient(
        create_app(desk, Access(DeskSettings(), "local")), "http://127.0.0.1:8000", client=("127.0.0.1", 1)
    )
    answer = client.get("/people/options?typed=a", headers={"HX-Request": "true", "HX-Target": "name-options"})
    assert answer.status_code == 503 and answer.headers["hx-retarget"] == "#answer"
    assert "PostgreSQL or Kafka is away" in answer.text and "<h1" not in answer.text
    whole = client.get("/people", headers={"HX-Request": "true", "HX-Target": "part"})
    assert whole.status_code == 503 and "<h1" in whole.text and "hx-retarget" not in whole.headers


def test_what_renews_itself_fills_no_log(desk: Desk) -> None:
    client = TestClient(
        create_app(desk, Access(DeskSettings(), "local")), "http://127.0.0.1:8000", client=("127.0.0.1", 1)
    )
    with capture_logs() as logs:
        for path in ("/operate/status", "/operate/board", "/operate/board", "/operate/nothing"):
            client.get(path)
    assert [line["route"] for line in logs if line["event"] == "request"] == ["/operate/status", "-"]
