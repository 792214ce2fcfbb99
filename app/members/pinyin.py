"""Pinyin initials, by which a name is found as it is typed: 张伟 by zw. Pure."""

import os
from functools import cache

# its dictionary of phrases takes 45 MB and does not help with names
os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")

from pypinyin import Style, pinyin

SURNAMES = {
    "仇": "q", "冼": "x", "区": "o", "单": "s", "召": "s", "员": "y", "尉": "y", "折": "s", "曾": "z", "朴": "p",
    "查": "z", "盛": "s", "种": "c", "秘": "b", "繁": "p", "覃": "q", "解": "x", "逄": "p", "长": "z",
}  # fmt: skip
"""Characters that are read otherwise when they begin a name."""
COMPOUND = {"尉迟": "yc", "长孙": "zs", "万俟": "mq"}
"""Surnames of two characters that are read otherwise together."""


def initials(name: str) -> str:
    """The first letters of a name's characters, small; Latin letters and digits as they are, nothing else."""
    if name[:2] in COMPOUND:
        return COMPOUND[name[:2]] + "".join(map(_initial, name[2:]))
    surname = SURNAMES.get(name[:1])
    return (surname or _initial(name[:1])) + "".join(map(_initial, name[1:]))


@cache
def _initial(character: str) -> str:
    if character.isascii():
        return character.lower() if character.isalnum() else ""
    letters = pinyin(character, style=Style.FIRST_LETTER, errors="ignore", strict=False)
    return letters[0][0] if letters else ""
