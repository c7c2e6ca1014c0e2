"""Pictures of the desk's pages for docs/desk.md, from the sample archive.

`facestream run --data FOLDER` makes the archive; then `python -m benchmarks.desk_pictures FOLDER docs/desk` names a few
of its faces, opens each page at 1280 and 390 pixels in light and dark, and writes one picture a page with the four.
"""

from __future__ import annotations

import argparse
import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from catalogue import browse, suggestions
from catalogue.connection import connect
from cli.archive import open_archive
from cli.common import load_settings, now
from cli.supervisor import Supervisor
from decisions.actions import Action, Name, NotSureWhether, Reject
from producers.decisions import DecisionWriter
from settings import Settings
from stream.lag import lag_reader
from stream.stages import STAGES
from web.serve import served

_VIEWS: list[tuple[int, int, Literal["light", "dark"]]] = [
    (1280, 900, "light"),
    (1280, 900, "dark"),
    (390, 900, "light"),
    (390, 900, "dark"),
]
_GAP = 16
_AUTHOR = "Mari"


def name_some(settings: Settings) -> dict[str, str]:
    """Name a face of the first cluster, and decide about two others. Returns the ids that addresses are made of."""
    with connect(settings.database) as connection, DecisionWriter(settings.kafka, now) as writer:
        first, *_ = browse.clusters(connection, "all", "largest", 1, 0, 4)
        faces = [tile.face_id for tile in browse.faces_of_cluster(connection, first.cluster_id, 6)]
        if not len(writer.decisions):
            # Not all settled: one name that is certain, and a second person in the same cluster.
            actions: list[Action] = [
                Name(face_id=faces[0], name="Eileen Collins"),
                Name(face_id=faces[5], name="Maie Õun"),
            ]
            writer.decide(actions, _AUTHOR, "mission patch")
            person = writer.decisions.labels(faces[0]).hard or ""
            writer.decide([NotSureWhether(face_id=faces[2], label_id=person)], _AUTHOR)
            writer.decide([Reject(face_id=faces[3], label_id=person)], "Jaan")
        person = writer.decisions.labels(faces[0]).hard or ""
        scan_id = browse.tiles(connection, [faces[0]])[faces[0]].scan_id
    return {
        "person": person,
        "face": faces[1],
        "cluster": first.cluster_id,
        "scan": scan_id,
    }


def following(settings: Settings) -> str | None:
    """The least settled face of the cluster where somebody has a name: proposals are made for it."""
    with connect(settings.database) as connection:
        return next((it.face_id for it in suggestions.next_faces(connection, 20) if it.named), None)


def pages(ids: dict[str, str]) -> dict[str, str]:
    """The address of each page."""
    return {
        "next": f"/next?face={ids['next']}",
        "clusters": "/clusters?show=all",
        "cluster": f"/cluster/{ids['cluster']}",
        "person": f"/person/{ids['person']}",
        "face": f"/face/{ids['face']}",
        "scan": f"/scan/{quote(ids['scan'])}",
        "people": "/people",
        "history": "/history",
        "orphans": "/orphans",
        "search": "/search?q=collins",
    }


def shots(browser: Browser, address: str, path: str) -> Iterator[Image.Image]:
    """The page in each view."""
    for width, height, scheme in _VIEWS:
        context = browser.new_context(
            base_url=address, viewport={"width": width, "height": height}, color_scheme=scheme, locale="en"
        )
        page = context.new_page()
        page.goto(path)
        page.evaluate("[...document.images].forEach(image => (image.loading = 'eager'))")
        while not page.evaluate("[...document.images].every(image => image.complete)"):
            page.wait_for_timeout(100)
        page.wait_for_timeout(2500)
        yield Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        context.close()


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures beside each other."""
    width = sum(picture.width for picture in pictures) + _GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), (127, 127, 127))
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + _GAP
    return whole


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the data folder of a sample archive")
    parser.add_argument("to", type=Path, help="the folder for the pictures")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    settings = load_settings(arguments.data)
    with (
        open_archive(settings, "pictures") as running,
        Supervisor(running),
        lag_reader(running.kafka) as lags,
        served(running, now, _AUTHOR, exactly=False) as address,
    ):
        ids = name_some(running)
        while any(lags.lags(STAGES).values()):
            time.sleep(0.5)
        ids["next"] = following(running) or ids["face"]
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, path in pages(ids).items():
                picture = beside(list(shots(browser, address, path)))
                picture.resize((picture.width // 2, picture.height // 2)).save(
                    arguments.to / f"{name}.webp", quality=80
                )
                print(arguments.to / f"{name}.webp")


if __name__ == "__main__":
    main()
