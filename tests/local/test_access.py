"""The file with the address and the password of the embedded broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.access import FILE, access, keep
from local.errors import LocalServiceError


def test_what_was_kept_is_found_again_and_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    found = access(tmp_path)
    keep(tmp_path, found)
    assert access(tmp_path) == found
    (tmp_path / FILE).write_bytes(b"sasl.password=\xff\x80")
    with pytest.raises(LocalServiceError, match=r"client\.conf, .* is damaged: delete it while nothing runs"):
        access(tmp_path)
