"""The embedded broker's jars: resolved once by Maven from the pinned pom into a cache folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from local.errors import LocalServiceError

DEPLOY = Path(__file__).parents[1] / "deploy" / "kafka"
"""Where the pinned pom and the broker's log settings lie in a checkout."""

_RESOLVE_WITHIN_S = 600.0


def java() -> str:
    """The Java runtime: that of JAVA_HOME, else the one on the path. Raises LocalServiceError if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        raise LocalServiceError(
            "the embedded Kafka needs a Java runtime (17 or newer): `apt-get install default-jre-headless`, "
            "or name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    return found


def jars(pom: Path = DEPLOY / "pom.xml", cache: Path | None = None) -> Path:
    """The folder of the broker's jars, filled by Maven if this pom's is not there yet.

    Several processes may ask at once: each resolves into a folder of its own, the first to be done puts it in place.
    Raises LocalServiceError if the pom or Maven is missing, or Maven fails.
    """
    if not pom.is_file():
        raise LocalServiceError(
            f"{pom} is missing: the embedded Kafka runs from a checkout (`pip install -e .`); "
            "elsewhere name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    text = pom.read_bytes()
    version = re.search(rb"<kafka.version>(.+?)</kafka.version>", text)
    name = f"kafka-{version[1].decode() if version else 'unknown'}-{hashlib.sha256(text).hexdigest()[:12]}"
    place = (cache or platformdirs.user_cache_path("facestream")) / name
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=place.parent) as aside:
            _put_in_place(_resolve(pom, Path(aside)), place)
    return place


def _resolve(pom: Path, aside: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalServiceError(
            "the embedded Kafka's jars are fetched by Maven, which is missing: `apt-get install maven`, "
            "or name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    # A copy, since Maven writes beside the pom that it is given.
    shutil.copy(pom, aside / "pom.xml")
    resolved = aside / "jars"
    command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={resolved}"],
            cwd=aside,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_RESOLVE_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalServiceError(
            f"Maven did not fetch the embedded Kafka's jars within {_RESOLVE_WITHIN_S:.0f} s: check the network"
        ) from error
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or ["(it said nothing)"]
        raise LocalServiceError(f"Maven could not fetch the embedded Kafka's jars: {said[0].strip()}")
    return resolved


def _put_in_place(resolved: Path, place: Path) -> None:
    try:
        resolved.rename(place)
    except OSError:
        if not place.is_dir():
            raise
