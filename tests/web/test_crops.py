"""Pictures of faces and scans: what they show, that a scan is decoded once, and what there is instead of some."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import numpy as np
import psutil
import pytest
from PIL import Image, ImageOps

from sample.archive import HOPPER
from tests.builders.catalogue import assigned, published, write_messages
from tests.builders.children import command_of
from tests.builders.crops import CropDesk, crop_desk, face_at, lying, picture
from tests.builders.database import empty_database
from tests.builders.decisions import named
from tests.builders.photographs import portrait_of
from tests.builders.web import Web, web_server
from web.crops import FACE_SIZES, SCAN_SIZES
from web.crops_routes import crop_url, scan_url

PROBLEMS = Path(__file__).parents[3] / "shared" / "data" / "problem_files"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, server: str) -> Iterator[CropDesk]:
    with empty_database(server) as database, crop_desk(database, tmp_path_factory.mktemp("desk")) as started:
        yield started


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as started:
        yield started


def get(desk: CropDesk, path: str, **headers: str) -> httpx.Response:
    return httpx.get(desk.url + path, headers=headers, timeout=60)


def jpeg(image: Image.Image, quality: int = 95) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures of one size, in gray levels."""
    arrays = [np.asarray(it, dtype=np.float64) for it in (one, other)]
    assert arrays[0].shape == arrays[1].shape
    return float(np.abs(arrays[0] - arrays[1]).mean())


def trouble(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "image/svg+xml" and answer.headers["cache-control"] == "no-store"
    assert "<title>" in answer.text and "Traceback" not in answer.text
    return answer.status_code, answer.headers["facestream-picture"]


# What they show

WHOLE = portrait_of(HOPPER, 200, 3.0)
# Where the face is on it, relative to the whole.
FACE = (1 / 3, 1 / 3, 2 / 3, 2 / 3)


def test_a_face_is_cut_out_with_some_of_what_is_around_it(desk: CropDesk, web: Web) -> None:
    web.pages["/hopper.jpg"] = content = jpeg(WHOLE)
    desk.scan("hopper", web.uri("/hopper.jpg"), content, face_at("hopper-1", *FACE), size=WHOLE.size)
    cut = picture(get(desk, crop_url("hopper-1", 192)).content)
    # 200 pixels, and 40 per cent of that on each side.
    expected = WHOLE.crop((120, 120, 480, 480)).resize((192, 192), Image.Resampling.LANCZOS)
    assert difference(cut, expected) < 4
    assert picture(get(desk, crop_url("hopper-1", 768)).content).size == (360, 360)
    assert picture(get(desk, crop_url("hopper-1", 96)).content).size == (96, 96)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_face_that_lies_on_its_side_is_shown_upright(desk: CropDesk, web: Web, degrees: int) -> None:
    # Pillow turns anticlockwise. Turned clockwise by as much, the face is upright again.
    page = f"/turned-{degrees}.jpg"
    web.pages[page] = content = jpeg(WHOLE.rotate(degrees, expand=True))
    desk.scan(
        f"turned-{degrees}", web.uri(page), content, lying(face_at(f"t{degrees}", *FACE), degrees), size=WHOLE.size
    )
    cut = picture(get(desk, crop_url(f"t{degrees}", 384)).content)
    assert difference(cut, WHOLE.crop((120, 120, 480, 480))) < 4


def test_a_face_on_a_negative_is_shown_as_it_was(desk: CropDesk, web: Web) -> None:
    web.pages["/negative.jpg"] = content = jpeg(ImageOps.invert(WHOLE))
    desk.scan("negative", web.uri("/negative.jpg"), content, lying(face_at("n1", *FACE), 0, True), size=WHOLE.size)
    assert difference(picture(get(desk, crop_url("n1", 384)).content), WHOLE.crop((120, 120, 480, 480))) < 4


def test_a_face_at_the_edge_is_a_square_that_is_moved_inwards(desk: CropDesk, web: Web) -> None:
    web.pages["/edge.jpg"] = content = jpeg(WHOLE)
    faces = face_at("edge-1", -0.05, 0.8, 0.1, 1.02), face_at("edge-2", -0.5, -0.5, 1.5, 1.5)
    desk.scan("edge", web.uri("/edge.jpg"), content, *faces, size=WHOLE.size)
    side = picture(get(desk, crop_url("edge-1", 768)).content).size
    assert side[0] == side[1] == round(0.22 * 600 * 1.8)
    assert picture(get(desk, crop_url("edge-2", 768)).content).size == (600, 600)


def test_a_scan_is_shown_scaled_and_never_larger_than_it_is(desk: CropDesk, web: Web) -> None:
    web.pages["/wide.jpg"] = content = jpeg(Image.new("RGB", (2000, 1000), "teal"))
    desk.scan("wide", web.uri("/wide.jpg"), content, size=(2000, 1000))
    sizes = [picture(get(desk, scan_url("wide", size)).content).size for size in SCAN_SIZES]
    assert sizes == [(400, 200), (800, 400), (1600, 800), (2000, 1000)]


def test_a_scan_that_is_not_analysed_yet_is_shown_too(desk: CropDesk, web: Web) -> None:
    web.pages["/new.jpg"] = content = jpeg(WHOLE)
    checksum = hashlib.sha256(content).hexdigest()
    write_messages(desk.connection, "scans", published("new", web.uri("/new.jpg"), sha256=checksum))
    assert picture(get(desk, scan_url("new", 400)).content).size == (400, 400)


@pytest.mark.parametrize("scan_id", ["1920/box 7/Õie?.tif#page=2", "a/800.jpg", "/begins with a slash", "100%", "ж+&"])
def test_a_scan_may_be_called_anything(desk: CropDesk, web: Web, scan_id: str) -> None:
    web.pages["/any.jpg"] = content = jpeg(WHOLE)
    desk.scan(scan_id, web.uri("/any.jpg"), content, size=WHOLE.size)
    assert picture(get(desk, scan_url(scan_id, 400)).content).size == (400, 400)


def test_a_page_of_a_file_is_shown(desk: CropDesk, tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    Image.new("RGB", (50, 50), "red").save(path, save_all=True, append_images=[Image.new("RGB", (50, 50), "blue")])
    desk.file("pages#page=2", path, page=2)
    red, _, blue = picture(get(desk, scan_url("pages#page=2", 400)).content).getpixel((25, 25))  # type: ignore[misc]
    assert red < 50 < 200 < blue


def test_real_photographs_are_cut(desk: CropDesk, shared_data: Path) -> None:
    path = shared_data / "archival_groups" / "solvay_1927" / "solvay.jpg"
    with Image.open(path) as image:
        width, height = image.size
        expected = image.convert("RGB").crop((239 - 54, 376 - 54, 239 + 54, 376 + 54))
    box = ((239 - 30) / width, (376 - 30) / height, (239 + 30) / width, (376 + 30) / height)
    desk.scan("solvay", path.as_uri(), path.read_bytes(), face_at("piccard", *box), size=(width, height))
    assert difference(picture(get(desk, crop_url("piccard", 384)).content), expected) < 8


# Once


def test_a_scan_is_read_and_decoded_once_for_all_who_ask_at_once(desk: CropDesk, web: Web) -> None:
    web.pages["/group.jpg"] = content = jpeg(WHOLE.resize((3000, 3000)))
    faces = [face_at(f"g{number}", 0.1 * number, 0.2, 0.1 * number + 0.08, 0.3) for number in range(8)]
    desk.scan("group", web.uri("/group.jpg"), content, *faces, size=(3000, 3000))
    paths = [crop_url(f"g{number}", size) for number in range(8) for size in FACE_SIZES]
    paths += [scan_url("group", size) for size in SCAN_SIZES]
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: get(desk, path), paths))
    assert {answer.status_code for answer in answers} == {200}
    assert len([path for path, _ in web.requests if path == "/group.jpg"]) == 1


def test_what_was_made_is_kept_also_when_the_file_is_gone(desk: CropDesk, web: Web) -> None:
    web.pages["/kept.jpg"] = content = jpeg(WHOLE)
    desk.scan("kept", web.uri("/kept.jpg"), content, face_at("kept-1", *FACE), size=WHOLE.size)
    first = get(desk, crop_url("kept-1", 96))
    del web.pages["/kept.jpg"]
    assert get(desk, crop_url("kept-1", 96)).content == first.content
    # The faces were made together; the scan was not.
    assert get(desk, crop_url("kept-1", 384)).status_code == 200
    assert trouble(get(desk, scan_url("kept", 400))) == (404, "gone")


def test_a_browser_that_has_the_picture_is_answered_so(desk: CropDesk, web: Web) -> None:
    web.pages["/etag.jpg"] = content = jpeg(WHOLE)
    desk.scan("etag", web.uri("/etag.jpg"), content, face_at("etag-1", *FACE), size=WHOLE.size)
    first = get(desk, crop_url("etag-1", 96))
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=600"
    again = get(desk, crop_url("etag-1", 96), **{"If-None-Match": f'"x", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert get(desk, crop_url("etag-1", 192), **{"If-None-Match": etag}).status_code == 200
    # The face is found elsewhere by a new analysis: another picture.
    desk.scan("etag", web.uri("/etag.jpg"), content, face_at("etag-1", 0.3, 0.3, 0.6, 0.6), size=WHOLE.size)
    assert get(desk, crop_url("etag-1", 96), **{"If-None-Match": etag}).status_code == 200


# Where there is none


@pytest.mark.parametrize(
    "path", ["/crops/nobody/96.jpg", "/crops/a%00b/96.jpg", "/scans/nowhere/400.jpg", "/crops/hopper-1/97.jpg"]
)
def test_what_there_is_not_is_a_drawing_that_says_so(desk: CropDesk, path: str) -> None:
    assert trouble(get(desk, path)) == (404, "unknown")


def test_a_file_that_is_gone_is_shown_as_gone(desk: CropDesk, tmp_path: Path) -> None:
    path = tmp_path / "gone & <away>.jpg"
    path.write_bytes(jpeg(WHOLE))
    desk.file("gone", path, face_at("gone-1", *FACE))
    path.unlink()
    assert trouble(get(desk, scan_url("gone", 400))) == (404, "gone")
    assert trouble(answer := get(desk, crop_url("gone-1", 96))) == (404, "gone")
    assert "The file is gone" in answer.text and "<away>" not in answer.text
    assert desk.crops.trouble("gone") == "gone"
    assert desk.crops.trouble("hopper") is None


def test_another_file_than_the_one_that_was_analysed_is_not_shown(desk: CropDesk, tmp_path: Path) -> None:
    path = tmp_path / "replaced.jpg"
    path.write_bytes(jpeg(WHOLE))
    desk.file("replaced", path, face_at("replaced-1", *FACE))
    path.write_bytes(jpeg(Image.new("RGB", (600, 600))))
    assert trouble(get(desk, crop_url("replaced-1", 96))) == (404, "changed")
    # Published again it is shown; its faces are not on it before it is analysed.
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    write_messages(desk.connection, "scans", published("replaced", path.as_uri(), sha256=checksum))
    assert get(desk, scan_url("replaced", 400)).status_code == 200
    assert trouble(get(desk, crop_url("replaced-1", 96))) == (404, "changed")


def test_a_store_that_is_away_is_asked_again_later(desk: CropDesk) -> None:
    desk.scan("away", "http://127.0.0.1:1/a.jpg", b"", size=(10, 10))
    answer = get(desk, scan_url("away", 400))
    assert trouble(answer) == (503, "unreachable")
    assert int(answer.headers["retry-after"]) > 0


def test_what_may_not_be_read_is_not_read(server: str, tmp_path: Path) -> None:
    scans, secret = tmp_path / "scans", tmp_path / "secret.jpg"
    scans.mkdir()
    (scans / "allowed.jpg").write_bytes(content := jpeg(WHOLE))
    secret.write_bytes(content)
    (scans / "link.jpg").symlink_to(secret)
    uris = [secret.as_uri(), (scans / "link.jpg").as_uri(), f"{scans.as_uri()}/../secret.jpg", "gopher://host/x"]
    uris += [f"simplecache::{secret.as_uri()}", f"zip://a::{secret.as_uri()}", f"local://{secret}", str(secret)]
    with empty_database(server) as database, crop_desk(database, tmp_path / "data", root=scans) as desk:
        desk.file("allowed", scans / "allowed.jpg")
        assert get(desk, scan_url("allowed", 400)).status_code == 200
        for number, uri in enumerate(uris):
            desk.scan(f"secret-{number}", uri, content, size=WHOLE.size)
            assert trouble(get(desk, scan_url(f"secret-{number}", 400))) == (404, "gone")


@pytest.mark.parametrize("path", sorted(PROBLEMS.glob("*.[tjp][pin][fg2]*")), ids=lambda path: path.name)
@pytest.mark.data
def test_each_problem_file_gives_a_picture_or_a_drawing(desk: CropDesk, path: Path) -> None:
    desk.file(path.name, path, face_at(f"{path.name}-1", *FACE))
    answers = [get(desk, scan_url(path.name, 400)), get(desk, crop_url(f"{path.name}-1", 192))]
    for answer in answers:
        if answer.status_code == 200:
            assert max(picture(answer.content).size) <= 400
        else:
            assert trouble(answer) == (404, "unreadable")


# What a process does not survive


@pytest.mark.slow
def test_an_image_that_is_not_decoded_in_time_costs_only_itself(server: str, tmp_path: Path) -> None:
    endless = tmp_path / "endless.png"
    Image.new("RGB", (20_000, 20_000)).save(endless, compress_level=1)
    fine = tmp_path / "fine.jpg"
    fine.write_bytes(jpeg(WHOLE))
    with empty_database(server) as database, crop_desk(database, tmp_path, decode_deadline_s=1.0) as desk:
        desk.file("endless", endless)
        desk.file("fine", fine)
        answer = get(desk, scan_url("endless", 400))
        assert trouble(answer) == (404, "unreadable")
        assert "not decoded within 1 seconds" in answer.text
        assert get(desk, scan_url("fine", 400)).status_code == 200


def test_others_are_answered_while_a_scan_hangs_and_a_process_that_is_ended_is_replaced(
    server: str, tmp_path: Path, web: Web
) -> None:
    web.pages["/fine.jpg"] = content = jpeg(WHOLE)
    with (
        empty_database(server) as database,
        crop_desk(database, tmp_path) as desk,
        ThreadPoolExecutor(1) as pool,
    ):
        desk.scan("hangs", web.uri("/hang/1.jpg"), b"", size=(10, 10))
        desk.scan("fine", web.uri("/fine.jpg"), content, size=WHOLE.size)
        hanging = pool.submit(get, desk, scan_url("hangs", 400))
        # Whoever works on it is killed, and then also whoever tries again.
        for attempt in (1, 2):
            wait_for_requests(web, "/hang/1.jpg", attempt)
            assert get(desk, scan_url("fine", SCAN_SIZES[attempt])).status_code == 200
            os.kill(worker_that_reads(web.port), signal.SIGKILL)
        assert trouble(hanging.result(timeout=60)) == (404, "unreadable")
        assert "want of memory" in hanging.result().text
        # Both processes are there again.
        desk.scan("after", web.uri("/fine.jpg"), content, size=WHOLE.size)
        assert get(desk, scan_url("after", 400)).status_code == 200


def wait_for_requests(web: Web, page: str, number: int) -> None:
    end = time.monotonic() + 60
    while len([path for path, _ in web.requests if path == page]) < number:
        assert time.monotonic() < end
        time.sleep(0.02)


def worker_that_reads(port: int) -> int:
    """The child process that is connected to a server on this machine."""
    for child in psutil.Process().children(recursive=True):
        if any(one.raddr and one.raddr.port == port for one in child.net_connections()):
            return child.pid
    raise AssertionError("nobody reads")


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
def test_where_memory_runs_out_a_process_that_decodes_ends_and_not_the_desk(desk: CropDesk, web: Web) -> None:
    web.pages["/memory.jpg"] = content = jpeg(WHOLE)
    desk.scan("memory", web.uri("/memory.jpg"), content, size=WHOLE.size)
    assert get(desk, scan_url("memory", 400)).status_code == 200
    scores = [Path(f"/proc/{it.pid}/oom_score_adj").read_text() for it in psutil.Process().children(recursive=True)]
    assert scores.count("1000\n") >= 2
    assert Path("/proc/self/oom_score_adj").read_text() != "1000\n"


def test_the_processes_end_with_the_desk(server: str, tmp_path: Path) -> None:
    before = workers()
    with empty_database(server) as database, crop_desk(database, tmp_path) as desk:
        get(desk, scan_url("x", 400))
        started = workers() - before
    assert len(started) == 2
    assert not started & workers()


def workers() -> set[int]:
    """The processes of this one that decode, whichever test they are of."""
    return {child.pid for child in psutil.Process().children(recursive=True) if "spawn_main" in command_of(child)}


# On disk


def test_no_more_is_kept_than_is_allowed_and_what_was_looked_at_last(server: str, tmp_path: Path, web: Web) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    web.pages["/noise.jpg"] = content = jpeg(Image.fromarray(noise))
    with empty_database(server) as database, crop_desk(database, tmp_path, crops_bytes=500_000) as desk:
        for number in range(12):
            desk.scan(f"noise-{number}", web.uri("/noise.jpg"), content, size=(400, 400))
            assert get(desk, scan_url(f"noise-{number}", 400)).status_code == 200
            assert get(desk, scan_url("noise-0", 400)).status_code == 200
            assert sum(path.stat().st_size for path in desk.kept) <= 500_000
        fetched = len([path for path, _ in web.requests if path == "/noise.jpg"])
        assert fetched == 12
        assert 2 < len(desk.kept) < 12
        assert (tmp_path / "crops").stat().st_mode & 0o777 == 0o700


def test_what_is_on_disk_is_used_after_a_restart_unless_it_is_damaged(server: str, tmp_path: Path, web: Web) -> None:
    web.pages["/again.jpg"] = content = jpeg(WHOLE)
    with empty_database(server) as database:
        with crop_desk(database, tmp_path) as desk:
            desk.scan("again", web.uri("/again.jpg"), content, size=WHOLE.size)
            first = get(desk, scan_url("again", 400)).content
        (tmp_path / "crops" / "half written.123").write_bytes(b"\xff\xd8")
        for damaged in (False, True):
            if damaged:
                for path in desk.kept:
                    path.write_bytes(path.read_bytes()[:-100])
            with crop_desk(database, tmp_path) as desk:
                assert get(desk, scan_url("again", 400)).content == first
            assert len([path for path, _ in web.requests if path == "/again.jpg"]) == 1 + damaged
        assert not (tmp_path / "crops" / "half written.123").exists()


def test_a_disk_that_cannot_be_written_costs_only_speed(server: str, tmp_path: Path, web: Web) -> None:
    web.pages["/full.jpg"] = content = jpeg(WHOLE)
    with empty_database(server) as database, crop_desk(database, tmp_path) as desk:
        desk.scan("full", web.uri("/full.jpg"), content, size=WHOLE.size)
        (tmp_path / "crops").rmdir()
        (tmp_path / "crops").write_text("in the way")
        for _ in range(2):
            assert get(desk, scan_url("full", 400)).status_code == 200


# For anyone


def test_only_confirmed_faces_of_released_collections_are_public(server: str, tmp_path: Path, web: Web) -> None:
    web.pages["/public.jpg"] = content = jpeg(WHOLE)
    with (
        empty_database(server) as database,
        crop_desk(database, tmp_path, public_collections=["portraits"]) as desk,
    ):
        for scan_id, collection in (("open", "portraits"), ("closed", "letters"), ("unnamed", "portraits")):
            faces = [face_at(f"{scan_id}-{number}", *FACE) for number in (1, 2)]
            desk.scan(scan_id, web.uri("/public.jpg"), content, *faces, size=WHOLE.size)
            checksum = hashlib.sha256(content).hexdigest()
            scan = published(scan_id, web.uri("/public.jpg"), sha256=checksum, collection=collection)
            write_messages(desk.connection, "scans", scan)
            write_messages(
                desk.connection,
                "assignments",
                assigned(f"{scan_id}-1", scan_id, "c", 100, "mari" if scan_id != "unnamed" else None),
                assigned(f"{scan_id}-2", scan_id, "c", 100),
            )
        write_messages(desk.connection, "labels", named(1, "open-1", "mari"))
        assert get(desk, crop_url("open-1", 96, public=True)).status_code == 200
        assert get(desk, scan_url("open", 400, public=True)).status_code == 200
        for face_id in ("open-2", "closed-1", "closed-2", "unnamed-1", "nobody"):
            assert trouble(get(desk, crop_url(face_id, 96, public=True))) == (404, "unknown")
        for scan_id in ("closed", "unnamed"):
            assert trouble(get(desk, scan_url(scan_id, 400, public=True))) == (404, "unknown")


def test_anyone_learns_nothing_of_the_file_that_is_gone(server: str, tmp_path: Path, web: Web) -> None:
    with (
        empty_database(server) as database,
        crop_desk(database, tmp_path, public_collections=["album"]) as desk,
    ):
        desk.scan("lost", web.uri("/secret-name.jpg"), b"", face_at("lost-1", *FACE), size=(10, 10))
        write_messages(desk.connection, "assignments", assigned("lost-1", "lost", "c", 100, "mari"))
        write_messages(desk.connection, "labels", named(1, "lost-1", "mari"))
        assert "secret-name" in get(desk, crop_url("lost-1", 96)).text
        answer = get(desk, crop_url("lost-1", 96, public=True))
        assert trouble(answer) == (404, "gone") and "secret-name" not in answer.text


def test_without_released_collections_nothing_is_public(desk: CropDesk) -> None:
    assert get(desk, crop_url("hopper-1", 96, public=True)).status_code == 404
