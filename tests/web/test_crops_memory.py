"""What a process needs to cut faces from a scan of 100 megapixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

# In a process of its own, so that what other tests leave behind plays no part. As `web.crops` has it done.
_CUT = """
import hashlib, json, re, sys
from pathlib import Path
from models.stores.parameters import StoreParameters
from schemas.scans import Box
from web import crops_cutting
from web.crops_cutting import Cut, Source

def mib(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

path = Path(sys.argv[1])
with path.open("rb") as file:
    source = Source(path.as_uri(), hashlib.file_digest(file, "sha256").hexdigest(), None)
crops_cutting.start(StoreParameters(roots=(path.parent,)), 60.0)
before = mib("VmHWM")
box = Box(left=0.4, top=0.4, right=0.5, bottom=0.5)
faces = crops_cutting.cut(source, {str(size): Cut(size, box) for size in (96, 768)})
scans = crops_cutting.cut(source, {str(size): Cut(size) for size in (400, 3200)})
peak = mib("VmHWM")
crops_cutting.let_go()
print(json.dumps([before, peak, mib("VmRSS"), len(faces) + len(scans)]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_a_scan_of_100_megapixels_needs_its_file_and_its_pixels_and_little_more(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    row = np.random.default_rng(0).integers(0, 256, (1, 11_200, 3), dtype=np.uint8)
    tifffile.imwrite(path, np.broadcast_to(row, (9_000, 11_200, 3)), rowsperstrip=64)
    done = subprocess.run(
        [sys.executable, "-c", _CUT, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    before, peak, after, pictures = json.loads(done.stdout)
    assert pictures == 4
    mebibytes = path.stat().st_size / 2**20  # uncompressed, so the pixels take as much
    assert peak - before < 2 * mebibytes + 60
    assert after - before < 80
