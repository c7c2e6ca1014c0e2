from __future__ import annotations

from pathlib import Path

import pytest

from errors import UserError
from producers.manifest import read_manifest

DIGEST = "ab" * 32


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_csv_gives_its_named_columns_and_the_rest_as_metadata(tmp_path: Path) -> None:
    text = f'uri,title,page,sha256,scan_id\na.jpg,"Tartu, 1911\nstreet",2,{DIGEST.upper()},x1\n\nb.jpg,,,,\n'
    (first_line, first), (second_line, second) = read_manifest(written(tmp_path, "m.csv", text))
    assert (first.uri, first.page, first.sha256, first.scan_id) == ("a.jpg", 2, DIGEST, "x1")
    assert first.metadata == {"title": "Tartu, 1911\nstreet"}
    assert (second.uri, second.page, second.sha256, second.metadata) == ("b.jpg", None, None, {})
    assert (first_line, second_line) == (3, 5)


def test_a_csv_from_a_spreadsheet_with_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "m.CSV", b"\xef\xbb\xbfuri,place\r\na.jpg,P\xc3\xa4rnu\r\n")
    assert [(row.uri, row.metadata) for _, row in read_manifest(path)] == [("a.jpg", {"place": "Pärnu"})]


def test_json_lines_keep_what_is_not_text_as_json(tmp_path: Path) -> None:
    text = '{"uri": "a.jpg", "year": 1911, "tags": ["õu"], "metadata": "m", "gone": null}\n\n{"uri": "b.jpg"}\n'
    (_, first), (line, _) = read_manifest(written(tmp_path, "m.jsonl", text))
    assert first.metadata == {"year": "1911", "tags": '["õu"]', "metadata": "m"}
    assert line == 3


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m.csv", "", "line 1: no column uri; the columns are: none"),
        ("m.csv", "uri;page\n", "line 1: no column uri; the columns are: uri;page"),
        ("m.csv", "uri,a,a\n", "line 1: two columns have the same name"),
        ("m.csv", "uri,page\na.jpg,1\nb.jpg,zero\n", "line 3: page: "),
        ("m.csv", "uri,page\na.jpg,0\n", "line 2: page: "),
        ("m.csv", "uri,page\na.jpg\n", "line 2: 1 cells, the header has 2"),
        ("m.csv", "uri,page\n,1\n", "line 2: no uri"),
        ("m.csv", 'uri,page\n"a.jpg,1\n', "not CSV"),
        ("m.csv", "uri,sha256\na.jpg,abc\n", "line 2: sha256: 64 hexadecimal digits are needed, not 'abc'"),
        ("m.csv", b"uri,place\na.jpg,ok\nb.jpg,P\xe4rnu\n", "line 3: not UTF-8"),
        ("m.jsonl", '{"uri": "a.jpg"}\n{"uri": }\n', "line 2: not JSON"),
        ("m.jsonl", '["a.jpg"]\n', "line 1: not a JSON object"),
        ("m.jsonl", '{"url": "a.jpg"}\n', "line 1: no uri"),
        ("m.jsonl", '{"uri": "a.jpg", "scan_id": 7}\n', "line 1: scan_id: "),
        ("m.jsonl", '{"uri": "a.jpg", "title": "\\ud800"}\n', "line 1: holds half a character"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line_and_reason(
    tmp_path: Path, name: str, text: str | bytes, reason: str
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(UserError) as caught:
        list(read_manifest(path))
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
