"""What the pages are made of: texts in every language, the script of htmx as it was published, keys and roles."""

from __future__ import annotations

import hashlib
import re
import time
from string import Formatter

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.builders.clock import wait_until
from web.app import _language
from web.kept import Kept
from web.render import STATIC, percent
from web.strings import LANGUAGES, all_texts, language_of, words

_TEMPLATES = STATIC.with_name("templates")
# htmx.org 2.0.11, dist/htmx.min.js, as the npm registry has it.
_HTMX_SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_htmx_is_the_published_file() -> None:
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == _HTMX_SHA256


@pytest.mark.parametrize("key", all_texts())
def test_a_text_has_the_same_fields_in_every_language(key: str) -> None:
    texts = all_texts()[key]
    assert len(texts) == len(LANGUAGES)
    assert all(texts)
    assert len({frozenset(fields(text)) for text in texts}) == 1


def test_every_text_that_a_template_asks_for_is_there() -> None:
    found = {
        key
        for path in _TEMPLATES.rglob("*.html")
        for key in re.findall(r"""\b[tn]\('([a-z-]+)'[,)]""", path.read_text(encoding="utf-8"))
    }
    assert len(found) > 50
    assert sorted(found - all_texts().keys()) == []


def test_no_template_has_what_the_policy_forbids() -> None:
    for path in _TEMPLATES.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"\bstyle=|\bon[a-z]+=|hx-on|<style|<script(?![^>]* src=)|javascript:", html), path


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "et-EE,et;q=0.9,en;q=0.8", "et"),
        (None, "fi,sv", "en"),
        ("en", "et", "en"),
        ("xx", "et", "et"),
    ],
)
def test_the_language_is_the_chosen_one_or_that_of_the_browser(
    chosen: str | None, accepted: str, language: str
) -> None:
    assert language_of(chosen, accepted) == language


def test_numbers_have_their_form() -> None:
    assert words("en").count("faces", 1) == "1 face"
    assert words("en").count("faces", 12345) == "12\u202f345 faces"
    assert words("et").count("scans", 2) == "2 skanni"


def test_only_what_is_certain_is_a_hundred_percent() -> None:
    assert [percent(it) for it in (0.004, 0.5, 0.9999, 1.0)] == ["0 %", "50 %", "99 %", "100 %"]


def test_what_was_read_is_answered_again_until_it_is_old() -> None:
    kept = Kept()
    reads: list[float] = []

    def read() -> int:
        reads.append(time.monotonic())
        return len(reads)

    assert [kept.get("key", read, fresh_s=60) for _ in range(3)] == [1, 1, 1]
    # What was read last is answered, and is read again meanwhile.
    wait_until(lambda: kept.get("key", read, fresh_s=0) > 1, "it is not read again")
    kept.close()
    assert kept.get("another", lambda: "waited for") == "waited for"


@pytest.mark.parametrize(
    ("referer", "shown"),
    [
        ("http://127.0.0.1:8000/people?sort=name", "/people?sort=name"),
        ("http://127.0.0.1:8000//elsewhere.example/", "/"),
        ("http://elsewhere.example/people", "/"),
        ("", "/"),
    ],
)
def test_choosing_a_language_leads_back_to_the_page_and_never_elsewhere(referer: str, shown: str) -> None:
    desk = Starlette(routes=[Route("/language/{language}", _language)])
    client = TestClient(desk, base_url="http://127.0.0.1:8000", follow_redirects=False)
    answer = client.get("/language/et", headers={"referer": referer})
    assert (answer.status_code, answer.headers["location"].rstrip("?")) == (303, shown)
    assert answer.cookies["language"] == "et"
