"""Two archivists at once, and scans that arrive while a page is open."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.builders.desk import DeskArchive
from tests.builders.pages import NewPage, names_of, scans_in, subject, unnamed


@pytest.fixture(scope="module")
def one_cluster(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """A cluster of three faces without a name."""
    archive.publish(tmp_path_factory.mktemp("cluster"), 0, 0, range(3))
    archive.wait_until_done()
    return archive


@pytest.fixture(scope="module")
def named_pair(archive: DeskArchive, tmp_path_factory: pytest.TempPathFactory) -> DeskArchive:
    """A cluster of two faces that have one name."""
    archive.publish(tmp_path_factory.mktemp("pair"), 2, 0, range(2))
    archive.name_all({"face-02-0-0": "Mary Keller", "face-02-0-1": "Mary Keller"})
    archive.wait_until_done()
    return archive


def test_of_two_who_name_one_face_the_second_is_shown_both_decisions(
    one_cluster: DeskArchive, new_page: NewPage
) -> None:
    first, second = new_page("/face/face-00-0-1"), new_page("/face/face-00-0-1")
    first.keyboard.type("Grace Hopper")
    second.keyboard.type("Eileen Collins")
    first.keyboard.press("Enter")
    expect(first.locator("#answer")).to_contain_text("Named: Grace Hopper")
    second.keyboard.press("Enter")
    dialog = second.get_by_role("dialog")
    expect(dialog).to_contain_text("Somebody decided meanwhile")
    expect(dialog).to_contain_text("is Eileen Collins")
    expect(dialog).to_contain_text("is Grace Hopper (Ann)")
    second.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(second.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    one_cluster.wait_until_done()
    assert names_of(one_cluster, ["face-00-0-1"]) == {"face-00-0-1": "grace-hopper"}


def test_who_was_shown_both_may_decide_so_all_the_same(one_cluster: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/face/face-00-0-2")
    one_cluster.name("face-00-0-2", "Grace Hopper")
    page.keyboard.type("Eileen Collins")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Decide so all the same").click()
    expect(page.locator("#answer")).to_contain_text("Named: Eileen Collins")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")


def test_a_page_says_that_somebody_has_decided_about_its_face(one_cluster: DeskArchive, new_page: NewPage) -> None:
    page = new_page("/face/face-00-0-0")
    one_cluster.name("face-00-0-0", "Grace Hopper")
    expect(page.locator("#news")).to_contain_text("Somebody has decided about this face meanwhile.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Face without a name")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")


@pytest.mark.usefixtures("named_pair")
def test_a_contradiction_is_refused_with_the_way_out(new_page: NewPage) -> None:
    page = new_page("/cluster/face-02-0-0")
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Separate from the others").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This contradicts what was decided")
    expect(dialog.get_by_role("button", name="Undo").first).to_be_visible()


@pytest.mark.usefixtures("named_pair")
def test_a_contradiction_is_refused_in_the_language_of_the_reader(new_page: NewPage) -> None:
    page = new_page("/cluster/face-02-0-0", locale="et")
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Eralda teistest").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("„on eri isikud“ on vastuolus sellega, mis on varem otsustatud.")
    expect(dialog).to_contain_text("on Mary Keller (Ben)")
    page.goto("/person/mary-keller")
    page.get_by_label("Uus nimi").fill("Mary \u202e")
    page.get_by_role("button", name="Nimeta isik ümber").click()
    expect(page.get_by_role("dialog")).to_contain_text("Nimi sisaldab juhtmärki U+202E: jäta see välja.")


def test_a_scan_that_arrives_is_announced_and_not_put_under_the_cursor(
    one_cluster: DeskArchive, new_page: NewPage, scans: Path
) -> None:
    page = new_page("/cluster/face-00-0-0")
    progress = page.locator("#progress")
    scans_before = scans_in(one_cluster)
    expect(progress).to_have_text(f"all {scans_before} scans analysed")
    expect(page.get_by_role("checkbox")).to_have_count(3)
    one_cluster.publish(scans, 0, 0, [3])
    expect(page.locator("#news")).to_contain_text("This cluster has changed: 4 faces now.")
    expect(progress).to_have_text(f"all {scans_before + 1} scans analysed")
    expect(page.get_by_role("checkbox")).to_have_count(3)
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_role("checkbox")).to_have_count(4)


def test_where_nothing_was_to_be_named_a_new_face_appears(
    one_cluster: DeskArchive, new_page: NewPage, scans: Path
) -> None:
    one_cluster.name_all(dict.fromkeys(unnamed(one_cluster), "Grace Hopper"))
    one_cluster.wait_until_done()
    page = new_page("/next")
    expect(page.get_by_role("heading", name="Nothing to name now")).to_be_visible()
    one_cluster.publish(scans, 5, 0, [0])
    expect(page.get_by_role("heading", name="Who is this?")).to_be_visible()
    assert subject(page) == "face-05-0-0"
