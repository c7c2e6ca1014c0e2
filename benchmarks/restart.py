"""`python -m benchmarks.restart index|cluster FOLDER RULE`: load a snapshot in a process without any other state.

Prints the seconds that took and the bytes of memory that it uses, as JSON. in_process.py runs it.
"""

from __future__ import annotations

import gc
import json
import pickle
import sys
import time
from pathlib import Path

import psutil

from clustering import snapshot as clustering_snapshot
from index import snapshot as index_snapshot


def main() -> None:
    """Load the snapshot and print the measurements."""
    what, folder, rule = sys.argv[1], Path(sys.argv[2]), pickle.loads(Path(sys.argv[3]).read_bytes())
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    restored = (
        index_snapshot.load(folder, rule.index)
        if what == "index"
        else clustering_snapshot.load(folder, rule.clustering)
    )
    seconds = time.perf_counter() - started
    if restored.refused:
        raise restored.refused[0]
    gc.collect()
    print(json.dumps([seconds, psutil.Process().memory_info().rss - before]))


if __name__ == "__main__":
    main()
