"""Number plates, rule by rule (domain.md, "Exact formats")."""

import pytest

from app.members.plates import PlateKind, kind_of, masked_plate, parse_plate

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"


@pytest.mark.parametrize("province", PROVINCES)
def test_every_province(province: str):
    assert kind_of(f"{province}A12345") is PlateKind.ORDINARY


def test_there_are_31():
    assert len(set(PROVINCES)) == 31


@pytest.mark.parametrize("last", "挂学警港澳")
def test_a_last_character_of_its_own(last: str):
    assert kind_of(f"粤Z123A{last}") is PlateKind.ORDINARY
    assert kind_of(f"粤Z{last}2345A") is None


@pytest.mark.parametrize(
    ("plate", "kind"),
    [
        ("京AB1C2D", PlateKind.ORDINARY),
        ("京AZZZZZ", PlateKind.ORDINARY),
        ("京AD12345", PlateKind.NEW_ENERGY_SMALL),
        ("京AF12345", PlateKind.NEW_ENERGY_SMALL),
        ("京AKZ1234", PlateKind.NEW_ENERGY_SMALL),
        ("京AA01234", PlateKind.NEW_ENERGY_SMALL),
        ("京A12345D", PlateKind.NEW_ENERGY_LARGE),
        ("京A00000K", PlateKind.NEW_ENERGY_LARGE),
        ("使014578", PlateKind.EMBASSY),
        ("沪A0023领", PlateKind.CONSULATE),
    ],
)
def test_a_plate_has_its_kind(plate: str, kind: PlateKind):
    assert kind_of(plate) is kind
    assert parse_plate(plate) == plate


@pytest.mark.parametrize(
    "plate",
    [
        "",
        "京",
        "京A1234",  # six characters
        "京A123456",  # eight without the letter of a new energy car
        "京AD123456",  # nine
        "京I12345", "京O12345",  # no I, no O for the town
        "京A1I345", "京A12O45", "京A1234I", "京A1234O",  # nor anywhere else
        "京112345",  # a digit for the town
        "港A12345", "台A12345", "A京12345", "AA12345",  # no province
        "京A12挂45",  # not at the end
        "京AL12345", "京AI12345", "京A12345L", "京A12345I",  # letters that no new energy car has
        "京ADI1234",  # no I in the second place either
        "京AD1234A",  # letters at both ends
        "京ADAA234",  # four digits end a small one
        "京A1234使", "领A12345", "使A12345", "使01457", "沪A002A领", "沪A00233领",
        "京A1234挂学", "京A１２３４I",
    ],
)  # fmt: skip
def test_what_is_no_plate(plate: str):
    assert parse_plate(plate) is None


@pytest.mark.parametrize("text", ["京a·12345", " 京A 12345 ", "京A-12345", "京Ａ１２３４５", "京A•12345", "京A.12345"])
def test_as_people_write_it(text: str):
    assert parse_plate(text) == "京A12345"


def test_a_masked_plate_tells_the_town():
    assert masked_plate("京A12345") == "京A***45"
