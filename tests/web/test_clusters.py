"""Clusters by keyboard: faces are selected in a range, named together, separated; two clusters are linked."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from catalogue.connection import connect
from tests.builders.clock import wait_until
from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, names_of


@pytest.fixture(scope="module")
def two_clusters(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """Two clusters that look alike, of six faces and of two."""
    scans = tmp_path_factory.mktemp("clusters")
    archive.publish_all(scans, [(0, 0, range(6)), (0, 1, range(2))])
    archive.wait_until_done()
    return archive


def cluster_of(archive: DeskArchive, face_id: str) -> str | None:
    with connect(archive.settings.database) as connection:
        row = connection.execute("SELECT cluster_id FROM assignments WHERE face_id = %s", (face_id,)).fetchone()
    return row[0] if row else None


def test_a_range_is_selected_by_keyboard_and_named_at_once(two_clusters: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/clusters?show=unnamed")
    page.get_by_role("link", name="6 faces").press("Enter")
    page.wait_for_url("**/cluster/**")  # and until its scripts are loaded, which a person is slower than
    boxes = page.get_by_role("checkbox")
    boxes.first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#selected")).to_have_text("3 selected")
    selected = boxes.evaluate_all("boxes => boxes.filter(box => box.checked).map(box => box.dataset.face)")
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Named: Grace Hopper (3 faces)")
    wait_until(
        lambda: names_of(two_clusters, selected) == dict.fromkeys(selected, "grace-hopper"), "not all three are named"
    )
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone: is Grace Hopper (3 faces)")
    wait_until(lambda: names_of(two_clusters, selected) == dict.fromkeys(selected), "not all three are undone")


def test_a_face_is_separated_from_the_others_of_its_cluster(two_clusters: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/cluster/face-00-0-0")
    box = page.get_by_role("checkbox").last
    face_id = str(box.get_attribute("data-face"))
    box.check()
    page.get_by_role("button", name="Separate from the others").click()
    expect(page.locator("#answer")).to_contain_text("Separated: different people")
    expect(page.locator("#news")).to_contain_text("This cluster has changed")
    assert cluster_of(two_clusters, face_id) != "face-00-0-0"
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_contain_text("Undone")
    wait_until(lambda: cluster_of(two_clusters, face_id) == "face-00-0-0", "it is not back")


def test_two_clusters_are_linked(two_clusters: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/cluster/face-00-0-0")
    page.get_by_role("button", name="Link: one person").click()
    expect(page.locator("#answer")).to_contain_text("Linked: one person")
    wait_until(lambda: cluster_of(two_clusters, "face-00-1-0") == "face-00-0-0", "they are not one cluster")
    page.goto("/cluster/face-00-1-0")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cluster of 8 faces")


@pytest.mark.usefixtures("two_clusters")
def test_without_a_selection_nothing_is_decided(new_page: NewPage) -> None:
    page = new_page("/cluster/face-00-0-0")
    page.get_by_role("button", name="Not a face").click()
    expect(page.get_by_text("Select faces first.")).to_be_visible()
    expect(page.locator("#answer")).to_be_empty()
