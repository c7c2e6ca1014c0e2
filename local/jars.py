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
"""The folder of the pinned pom and of the broker's log settings, in a checkout."""

_RESOLVE_WITHIN_S = 600.0


def java() -> str:
    """The Java runtime: that of JAVA_HOME, else the one on the path. Raises LocalServiceError if there is none."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if path is None:
        raise LocalServiceError(
            "the embedded Kafka needs a Java runtime (17 or newer): `apt-get install default-jre-headless`, "
            "or name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    return path


def jars(pom: Path = DEPLOY / "pom.xml", cache: Path | None = None) -> Path:
    """The folder of the broker's jars, filled by Maven if this pom's is not there yet.

    Several processes may call this at once: each resolves into a folder of its own, and the first to finish renames
    its folder to the final one.
    Raises LocalServiceError if the pom or Maven is missing, Maven fails, or the cache cannot be written.
    """
    if not pom.is_file():
        raise LocalServiceError(
            f"{pom} is missing: the embedded Kafka runs from a checkout (`pip install -e .`); "
            "elsewhere name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    text = pom.read_bytes()
    version = re.search(rb"<kafka.version>(.+?)</kafka.version>", text)
    name = f"kafka-{version[1].decode() if version else 'unknown'}-{hashlib.sha256(text).hexdigest()[:12]}"
    folder = (cache or platformdirs.user_cache_path("facestream")) / name
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as temporary:
                _rename(_resolve(pom, Path(temporary)), folder)
    except OSError as error:
        raise LocalServiceError(
            f"{folder.parent}, which the embedded Kafka is fetched into, cannot be used ({error.strerror}): "
            "name another folder in XDG_CACHE_HOME"
        ) from error
    return folder


def _resolve(pom: Path, temporary: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalServiceError(
            "the embedded Kafka's jars are fetched by Maven, which is missing: `apt-get install maven`, "
            "or name a broker in FACESTREAM_KAFKA__BOOTSTRAP_SERVERS"
        )
    # A copy, since Maven writes beside its pom.
    shutil.copy(pom, temporary / "pom.xml")
    resolved = temporary / "jars"
    command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={resolved}"],
            cwd=temporary,
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
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or ["(no output)"]
        raise LocalServiceError(f"Maven could not fetch the embedded Kafka's jars: {errors[0].strip()}")
    return resolved


def _rename(resolved: Path, folder: Path) -> None:
    try:
        resolved.rename(folder)
    except OSError:
        # Another process has finished first.
        if not folder.is_dir():
            raise
