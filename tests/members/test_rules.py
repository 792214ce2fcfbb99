"""The pure rules, on the examples of domain.md."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.members.rules import (
    APPLICATION_TRANSITIONS,
    MEMBER_TRANSITIONS,
    ApplicationStatus,
    MemberStatus,
    Person,
    Verdict,
    Vin,
    is_member_number,
    judge_enrolment,
    masked_name,
    masked_phone,
    member_number,
    parse_mobile,
    parse_vin,
    vin_check_digit,
)

ANNA, BELA = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("1M8GDM9AXKP042788", Vin("1M8GDM9AXKP042788", True)),
        (" ljcpcblcx11000237 ", Vin("LJCPCBLCX11000237", True)),
        ("WVGZZZ5NZEW069297", Vin("WVGZZZ5NZEW069297", False)),  # real, European
        ("1M8GDM9A1KP042788", "vin_check_digit"),
        ("LJCPCBLC011000237", "vin_check_digit"),
        ("HJCPCBLC011000237", "vin_check_digit"),
        ("11111111111111111", "vin_repeated"),  # passes the sum
        ("1M8GDM9AXKP04278", "vin_format"),
        ("1M8GDM9AXKP0427888", "vin_format"),
        ("IM8GDM9AXKP042788", "vin_format"),
        ("1M8GDM9AXKPO42788", "vin_format"),
        ("1M8GDM9AXKPQ42788", "vin_format"),
        ("1M8GDM9AXKP04278８", "vin_format"),
        ("", "vin_format"),
    ],
)
def test_vins(text: str, parsed: Vin | str):
    assert parse_vin(text) == parsed


@given(st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=16, max_size=16))
def test_one_wrong_digit_is_noticed(text: str):
    vin = "L" + text[:7] + "0" + text[7:15]
    good = vin[:8] + vin_check_digit(vin) + vin[9:]
    assert parse_vin(good) == Vin(good, True)
    # each digit weighs something that 11 does not divide, so no single change of a digit passes
    for at in (11, 12, 13, 14, 15, 16):
        if good[at].isdigit():
            other = str((int(good[at]) + 1) % 10)
            assert parse_vin(good[:at] + other + good[at + 1 :]) == "vin_check_digit"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("13800138000", "+8613800138000"),
        ("+86 138-0013-8000", "+8613800138000"),
        ("8619900000000", "+8619900000000"),
        ("12800138000", None),
        ("1380013800", None),
        ("138001380000", None),
        ("+8513800138000", None),
        ("１３８００１３８０００", None),
        ("", None),
    ],
)
def test_phones(text: str, stored: str | None):
    assert parse_mobile(text) == stored


@given(st.integers(1, 999_999_999), st.integers(0, 9), st.integers(0, 9))
def test_a_mistyped_member_number_is_noticed(serial: int, at: int, digit: int):
    number = member_number(serial)
    mistyped = f"{number[:at]}{digit}{number[at + 1 :]}"
    assert len(number) == 10
    assert is_member_number(mistyped) is (mistyped == number)


@pytest.mark.parametrize("text", ["", "123", "abcdefghij", "10000000160"])
def test_what_is_no_member_number(text: str):
    assert not is_member_number(text)


@pytest.mark.parametrize(
    ("name", "by_phone", "owner", "verdict"),
    [
        ("Anna", None, None, Verdict.NEW_MEMBER),
        ("Anna", Person(ANNA, "Anna"), None, Verdict.ADD_VEHICLE),
        ("Anna", Person(ANNA, "Anna"), ANNA, Verdict.ALREADY_KNOWN),
        ("Anna", Person(ANNA, "Anna"), BELA, Verdict.VEHICLE_TAKEN),
        ("Anna", None, BELA, Verdict.VEHICLE_TAKEN),
        ("Bela", Person(ANNA, "Anna"), None, Verdict.PHONE_TAKEN),
        ("Bela", Person(ANNA, "Anna"), ANNA, Verdict.PHONE_TAKEN),
    ],
)
def test_who_joins(name: str, by_phone: Person | None, owner: UUID | None, verdict: Verdict):
    assert judge_enrolment(name, by_phone, owner) is verdict


def test_every_status_has_its_line_and_none_leads_to_itself():
    assert set(MEMBER_TRANSITIONS) == set(MemberStatus)
    assert set(APPLICATION_TRANSITIONS) == set(ApplicationStatus)
    assert not any(status in steps for status, steps in MEMBER_TRANSITIONS.items())
    assert [status for status, steps in APPLICATION_TRANSITIONS.items() if steps] == [ApplicationStatus.OPEN]
    assert MemberStatus.SUSPENDED not in MEMBER_TRANSITIONS[MemberStatus.LEFT]


def test_masks():
    assert masked_phone("+8613812341234") == "138****1234"
    assert (masked_name("张三"), masked_name("欧阳修文"), masked_name("李")) == ("张*", "欧***", "李")
