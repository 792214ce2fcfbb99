"""Import files as people send them: BOM, line ends, gzip, odd columns, damage."""

import gzip
from pathlib import Path

import pytest

from app.core.tabular import Rejection, Row, Unreadable, joined, open_rows, rejected_csv, write_rejected

COLUMNS = ("a", "b")


def rows(path: Path, content: bytes) -> list[Row]:
    path.write_bytes(content)
    return list(open_rows(path, COLUMNS))


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_every_spelling_reads_alike(tmp_path: Path, bom: bytes, end: bytes, pack, last: bytes):
    content = bom + end.join([b"a,b", "1,张".encode(), b"", b'"x, y","2"']) + (end if last else b"")
    # the name does not matter: gzip is told by its first bytes
    assert rows(tmp_path / "file.csv", pack(content)) == [Row(2, ["1", "张"]), Row(4, ["x, y", "2"])]


def test_columns_come_in_the_asked_order(tmp_path: Path):
    assert rows(tmp_path / "f.csv", b"B,extra, A \n2,x,1\n") == [Row(2, ["1", "2"])]


def test_spoilt_rows_are_told_apart(tmp_path: Path):
    found = rows(tmp_path / "f.csv", b"a,b\n1\n1,2,3\n\xff,2\n1,2\n")
    assert [row.fault for row in found] == [
        "2 columns expected, 1 found", "2 columns expected, 3 found",
        "not UTF-8: save the file as UTF-8", None,
    ]  # fmt: skip


def test_a_stray_quote_spoils_its_row_only(tmp_path: Path):
    read = rows(tmp_path / "f.csv", b'a,b\n"1,2\n"3,5",4\n"6"x,7\n8,9\n')
    assert [(row.line, row.fault is None) for row in read] == [(2, False), (3, True), (4, False), (5, True)]
    assert read[1].cells == ["3,5", "4"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty, or its first line is; it must name a, b"),
        (b"a,c\n1,2\n", r"lacks the column\(s\) b"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 9_000)[:-9], "damaged gzip"),
        (b"\x1f\x8bnot gzip at all", "damaged gzip"),
    ],
)
def test_unreadable_files_say_why(tmp_path: Path, content: bytes, reason: str):
    with pytest.raises(Unreadable, match=reason):
        rows(tmp_path / "f.csv", content)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(Unreadable, match="No such file"):
        list(open_rows(tmp_path / "none.csv", COLUMNS))


def test_rejections_keep_the_row_as_it_came(tmp_path: Path):
    file = tmp_path / "f.csv"
    rejected = [Rejection(2, "too, bad", joined(["x, y", '"']))]
    written = write_rejected(file, rejected)
    assert written == tmp_path / "f.csv.rejected.csv"
    assert written.read_text(encoding="utf-8") == rejected_csv(rejected)
    assert rejected_csv(rejected) == 'line,reason,row\n2,"too, bad","""x, y"","""""""""\n'
    assert write_rejected(file, []) is None
    assert not written.exists()
