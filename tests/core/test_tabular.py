"""Import files as people send them: BOM, line ends, gzip, odd columns, damage."""

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest

from app.core.tabular import (
    MOST_BLANK,
    MOST_LINE,
    Rejection,
    Row,
    csv_rows,
    joined,
    open_rows,
    rejected_csv,
    write_rejected,
)
from app.core.unreadable import Unreadable

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


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_without_end_spoils_its_row_only(tmp_path: Path, end: bytes):
    fits = b"x" * (MOST_LINE - 2)
    found = rows(tmp_path / "f.csv", end.join([b"a,b", b"1," + fits, b"2,x" + fits, b"3," + b"x" * 200_000, b"4,5"]))
    assert [(row.line, row.fault) for row in found] == [
        (2, None), (3, "longer than 8,192 characters"), (4, "longer than 8,192 characters"), (5, None),
    ]  # fmt: skip
    assert max(len(row.cells[0]) for row in found) <= MOST_LINE + 2


def test_a_row_of_nothing_but_commas_is_no_list_of_them(tmp_path: Path):
    (row,) = rows(tmp_path / "f.csv", b"a,b\n" + b"," * 8_000)
    assert (row.fault, len(row.cells)) == ("2 columns expected, 8001 found", 1_000)


def memory_of(content: bytes, most_mib: int) -> int:
    """What reading took at most (bytes) until it was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="more than 20 MiB once unpacked"):
            for _ in csv_rows(io.BytesIO(content), COLUMNS, most_mib):
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", [bytes(40 << 20), b"a,b\n" + b"x" * (40 << 20), b"a,b\n" + b"x,y\n" * (10 << 20)])
def test_what_is_packed_has_a_limit_unpacked(bomb: bytes):
    packed = gzip.compress(bomb, 1)
    assert len(packed) < 1 << 20
    if not bomb.startswith(b"a,b"):
        # no header in all of it
        packed = gzip.compress(b"a,b\n") + packed
    assert memory_of(packed, 20) < 4 << 20


def test_blank_lines_have_an_end(tmp_path: Path):
    assert rows(tmp_path / "f.csv", b"a,b\n" + b"\n" * MOST_BLANK + b"1,2\n")[0].line == MOST_BLANK + 2
    with pytest.raises(Unreadable, match="blank lines"):
        rows(tmp_path / "f.csv", b"a,b\n" + b"\n" * (MOST_BLANK + 1) + b"1,2\n")


@pytest.mark.parametrize("row", ['=HYPERLINK("http://x"),1', "+8613812345678,1", "-1,2", "@SUM(A1),2", "\tx,2", "\rx"])
def test_refused_rows_are_no_formulas_and_read_as_they_came(tmp_path: Path, row: str):
    text = rejected_csv([Rejection(2, "=1", row), Rejection(3, "bad", "BJ001," + row)])
    _, first, second = csv.reader(io.StringIO(text, newline=""))
    shown = row.replace("\r", "\n")
    assert first == ["2", "'=1", f"'{shown}"]
    assert second == ["3", "bad", f"BJ001,{shown}"]
    if '"' not in row and "\r" not in row:
        # mended, which is to say left as it is, and sent again
        (again,) = rows(tmp_path / "f.csv", b"a,b\n" + first[2].encode())
        assert joined(again.cells) == row


def test_an_apostrophe_elsewhere_stays(tmp_path: Path):
    assert rows(tmp_path / "f.csv", b"a,b\n'x,O'=1\n")[0].cells == ["'x", "O'=1"]


def test_a_rejection_keeps_what_tells_it_apart():
    kept = Rejection.of(Row(7, ["a" * 5_000, "\0"]), "why \0" + "b" * 5_000)
    assert (kept.line, len(kept.reason), len(kept.row)) == (7, 1_001, 1_001)
    assert "\0" not in kept.reason
    assert Rejection.of(Row(7, ["a,b", "\0"]), "why") == Rejection(7, "why", '"a,b",\ufffd')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty, or its first row is; it must name a, b"),
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


NAMES = "a,b\r\n1,张伟\r\n2,学\r\n3,plain\r\n4,𠮷野\r\n5,André\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_chinese_spreadsheets_encodings_are_told_apart(tmp_path: Path, encoding: str, pack):
    found = rows(tmp_path / "f.csv", pack(NAMES.encode(encoding)))
    assert [row.cells[1] for row in found] == ["张伟", "学", "plain", "𠮷野", "André"]
    assert [row.fault for row in found] == [None] * 5


def test_a_spoilt_row_does_not_make_a_file_another_encoding(tmp_path: Path):
    lines = [b"a,b", "1,张伟".encode(), "2,王芳".encode(), "3,赵敏".encode("gb18030"), "4,李".encode()]
    found = rows(tmp_path / "f.csv", b"\n".join(lines))
    assert [row.fault is None for row in found] == [True, True, False, True]


def test_chinese_far_behind_the_beginning_is_not_taken_for_something_else(tmp_path: Path):
    content = b"a,b\n" + b"1,x\n" * 100_000 + "2,张伟\n".encode("gb18030")
    assert rows(tmp_path / "f.csv", content)[-1].fault == "not UTF-8: save the file as UTF-8"
