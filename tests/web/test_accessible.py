"""Every page in a browser: axe finds nothing to object to, in light and dark, wide and narrow; pictures are there."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, wait_for

PAGES = {
    "next": "/next",
    "nothing to name": "/next?skip=face-01-1-1&skip=face-01-1-0&skip=face-01-1-2",
    "clusters": "/clusters?show=all",
    "cluster": "/cluster/face-00-1-0",
    "faces in no cluster": "/noise",
    "people": "/people",
    "person": "/person/grace-hopper",
    "face": "/face/face-00-1-0",
    "scan": "/scan/album/00-1-0.jpg",
    "history": "/history",
    "orphans": "/orphans",
    "search": "/search?q=grace",
    "search for scans": "/search?collection=album&year=1918",
    "status": "/operate/status?still=1",
    "no such page": "/nowhere",
    "public": "/public",
    "public person": "/public/person/grace-hopper",
    "public scan": "/public/scan/album/00-0-0.jpg",
}

# What WCAG asks for on the levels A and AA, and what axe recommends beyond.
_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # The others are not looked at, and take as long to be collected.
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def small_archive(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """Two people with a name and with faces that may be theirs; somebody was rejected, and a naming undone."""
    scans = tmp_path_factory.mktemp("small")
    archive.publish_all(scans, [(person, half, range(2 + half)) for person in range(2) for half in range(2)])
    archive.wait_until_done()
    archive.name_all({"face-00-0-0": "Grace Hopper", "face-01-0-0": "Õie Mägi"})
    archive.wait_until_done()
    return archive


def violations(page: Page) -> list[str]:
    """What axe objects to, with the elements."""
    found = Axe().run(page, options=_OPTIONS).response["violations"]
    return [f"{it['id']}: {node['html']} {node.get('failureSummary')}" for it in found for node in it["nodes"]]


@pytest.mark.usefixtures("small_archive")
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation_in_light_and_dark_and_nothing_is_wider_than_a_telephone(
    new_page: NewPage, name: str
) -> None:
    page = new_page(PAGES[name], color_scheme="light", viewport={"width": 1280, "height": 900})
    wait_for(page, "document.getElementById('progress')?.textContent !== ''")
    wait_for(page, "!document.querySelector('[data-questions]:not([data-loaded])')")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page) == []


@pytest.mark.usefixtures("small_archive")
def test_the_help_and_the_list_of_people_have_no_violation(new_page: NewPage) -> None:
    page = new_page("/next")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.type("G")
    expect(page.get_by_role("option").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.usefixtures("small_archive")
@pytest.mark.parametrize("path", ["/next", "/face/face-00-1-0", "/scan/album/00-1-0.jpg", "/person/grace-hopper"])
def test_a_page_is_within_its_policy_and_its_pictures_are_there(new_page: NewPage, path: str) -> None:
    page = new_page("/history")
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(path)
    wait_for(page, "!document.querySelector('[data-questions]:not([data-loaded])')")
    page.evaluate("[...document.images].forEach(image => (image.loading = 'eager'))")
    wait_for(page, "[...document.images].every(image => image.complete)")
    assert (
        page.evaluate("[...document.images].filter(image => image.loading !== 'lazy' && !image.naturalWidth).length")
        == 0
    )
    assert page.evaluate("document.querySelector('.large, .scan-picture') !== null")
    assert messages == []


def test_the_public_view_shows_confirmed_names_alone(small_archive: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/public")
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible()
    page.get_by_role("link", name="Grace Hopper").click()
    expect(page.locator("img")).to_have_count(1)
    # A face that is only proposed for the name, and who named the others.
    page.goto("/public/scan/album/00-1-0.jpg")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    assert "Ben" not in page.content()
    assert page.request.post(f"{small_archive.address}/public").status in (403, 404, 405)


@pytest.mark.usefixtures("small_archive")
def test_the_desk_speaks_estonian_when_asked(new_page: NewPage) -> None:
    page = new_page("/next", locale="et")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kes see on?")
    page.keyboard.press("?")
    page.get_by_role("link", name="In English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who is this?")


@pytest.mark.parametrize("path", ["/search?q=%00", "/face/%00", "/cluster/a%00b", "/person/%00", "/scan/%00"])
def test_what_no_text_can_hold_is_nowhere(small_archive: DeskArchive, path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{small_archive.address}{path}", timeout=30)
    assert refused.value.code == 404
