"""Names by their pinyin initials."""

import pytest

from app.members.pinyin import initials


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张伟", "zw"),
        ("欧阳娜娜", "oynn"),
        ("吕布", "lb"),
        ("单雄信", "sxx"),  # not dan
        ("曾国藩", "zgf"),  # not ceng
        ("孟单", "md"),  # only a surname is read otherwise
        ("尉迟恭", "ycg"),  # not wei
        ("尉健行", "yjx"),
        ("买买提·艾力", "mmtal"),
        ("Anna Li-2", "annali2"),
        ("张 伟", "zw"),
        ("*", ""),
        ("", ""),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert initials(name) == expected
