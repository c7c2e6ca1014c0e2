"""What an erasure does in the files of the data folder, and the file of an erasure that is under way."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from erasure.search import Finder
from errors import Fatal
from producers.erasure_plan import Plan
from stream.erasures import write_safely

_UNDER_WAY = "under-way.json"


def under_way_file(folder: Path) -> Path:
    """The file that says what is erased now. It is the one place where that still is, until it is proven."""
    return folder / _UNDER_WAY


def under_way(folder: Path) -> Plan | None:
    """The plan of the erasure that is under way. Raises Fatal where it cannot be read."""
    path = under_way_file(folder)
    try:
        return Plan.model_validate_json(path.read_bytes()) if path.exists() else None
    except (OSError, ValidationError) as error:
        raise Fatal(
            f"the erasure that is under way, {path}, cannot be read: delete it, and erase the same once more"
        ) from error


def begin(folder: Path, plan: Plan) -> None:
    """Write down what is erased now."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_safely(under_way_file(folder), plan.model_dump_json().encode())


def end(folder: Path) -> None:
    """Delete the file of the erasure under way, after its bytes were overwritten."""
    path = under_way_file(folder)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def clean_views(data: Path, plan: Plan) -> None:
    """Delete the indexes of topics, and the pictures that the desk keeps of these scans: both are made again.

    The indexes may have missed tombstones that are compacted away now.
    """
    shutil.rmtree(data / "topics", ignore_errors=True)
    for scan_id in {*plan.scan_ids, *(face.scan_id for face in plan.faces)}:
        shutil.rmtree(data / "crops" / picture_folder(scan_id), ignore_errors=True)


def clean_logs(data: Path, finder: Finder) -> None:
    """Take what is erased out of logs. For services that have stopped."""
    for log in [*(data / "logs").glob("*.log"), data / "kafka" / "broker.log", data / "postgres" / "postgres.log"]:
        _clean_log(log, finder)


def picture_folder(scan_id: str) -> Path:
    """Where the desk keeps the pictures of a scan, below its folder of pictures (web/crops.py)."""
    folder = hashlib.sha256(scan_id.encode(errors="surrogatepass")).hexdigest()[:32]
    return Path(folder[:2]) / folder


def clean_snapshots(folder: Path, groups: Collection[str]) -> None:
    """Delete all snapshots but the newest of these groups, which have written theirs again. For consumers that stopped.

    Others are made again from the topics.
    """
    for group in folder.iterdir() if folder.is_dir() else ():
        snapshots = sorted(group.glob("snapshot-*"))
        kept: Collection[Path] = snapshots[-1:] if group.name in groups else ()
        for one in [*snapshots, group / ".writing", group / "writing.npz"]:
            if one in kept or not one.exists():
                continue
            if one.is_dir():
                shutil.rmtree(one)
            else:
                one.unlink()


def _clean_log(log: Path, finder: Finder) -> None:
    """Delete the lines that have a trace. There are none, but for what earlier versions wrote."""
    if not log.is_file() or not finder.found(content := log.read_bytes()):
        return
    owner = log.stat()
    left = b"".join(line for line in content.splitlines(keepends=True) if not finder.found(line))
    write_safely(log, left)
    os.chown(log, owner.st_uid, owner.st_gid)
