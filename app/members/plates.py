"""What makes a number plate: pure, no I/O. Sources: domain.md ("Exact formats"), GA 36.

Judged by length first: seven characters are an ordinary plate, an embassy's or a consulate's, eight a new energy car's.
"""

import re
import unicodedata
from enum import StrEnum

_P = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_L = "A-HJ-NP-Z"
"""Letters without I and O, which are taken for digits."""


class PlateKind(StrEnum):
    """What a plate's form says of the car."""

    ORDINARY = "ordinary"
    NEW_ENERGY_SMALL = "new_energy_small"
    NEW_ENERGY_LARGE = "new_energy_large"
    EMBASSY = "embassy"
    CONSULATE = "consulate"


_FORMS: dict[int, dict[PlateKind, re.Pattern[str]]] = {
    7: {
        PlateKind.ORDINARY: re.compile(rf"[{_P}][{_L}][{_L}0-9]{{4}}[{_L}0-9挂学警港澳]"),
        PlateKind.EMBASSY: re.compile(r"使[0-9]{6}"),
        PlateKind.CONSULATE: re.compile(rf"[{_P}][{_L}][0-9]{{4}}领"),
    },
    8: {
        PlateKind.NEW_ENERGY_SMALL: re.compile(rf"[{_P}][{_L}][A-HJK][{_L}0-9][0-9]{{4}}"),
        PlateKind.NEW_ENERGY_LARGE: re.compile(rf"[{_P}][{_L}][0-9]{{5}}[A-HJK]"),
    },
}
_DECORATION = re.compile(r"[\s·•・.-]")
"""What people write between a plate's characters, and what stands on it there."""


def parse_plate(text: str) -> str | None:
    """The plate in a text as it is stored: capitals, nothing between them. None: it is no plate."""
    plate = _DECORATION.sub("", unicodedata.normalize("NFKC", text)).upper()
    return plate if kind_of(plate) else None


def kind_of(plate: str) -> PlateKind | None:
    """What kind of plate a stored one is; None: it is no plate."""
    forms = _FORMS.get(len(plate), {})
    return next((kind for kind, form in forms.items() if form.fullmatch(plate)), None)


def masked_plate(plate: str) -> str:
    """A plate as those may see it who do not care for its owner: 京A***45."""
    return f"{plate[:2]}***{plate[-2:]}"
