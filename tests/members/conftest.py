"""A small network, and people with cars that nobody else in the module has."""

from collections.abc import Callable
from datetime import date
from itertools import count
from typing import Any

import pytest

from app.chapters.imports import import_dealers
from app.core.actors import Role
from app.core.tabular import Row
from app.members.rules import vin_check_digit
from tests.api import Api
from tests.now import NOW

Owner = Callable[..., dict[str, Any]]

DEALERS = ("BJ001,BJ,Beijing,true,true", "BJ002,BJ,Beijing,true,false", "SH001,SH,Shanghai,true,true")


@pytest.fixture(scope="module")
async def network(api: Api) -> None:
    """BJ001 and SH001 with chapters, BJ002 without."""
    rows = (Row(number, line.split(",")) for number, line in enumerate(DEALERS, 2))
    await import_dealers(api.db, rows, now=NOW, opened_on=date(2025, 5, 1))


def car(serial: int) -> str:
    """A Chinese VIN whose check digit holds."""
    vin = f"LSVAB26E0T2{serial:06d}"
    return vin[:8] + vin_check_digit(vin) + vin[9:]


@pytest.fixture(scope="session")
def owner() -> Owner:
    """Makes the body of an enrolment that no other has."""
    serials = count(1)

    def make(**fields: Any) -> dict[str, Any]:
        serial = next(serials)
        return {
            "name": "张伟",
            "phone": f"139{serial:08d}",
            "vin": car(serial),
            "source": "delivery",
        } | fields

    return make


@pytest.fixture
def director(api: Api, network: None) -> Callable[[str], str]:
    """Makes the token of a chapter's care director."""
    return lambda dealer: api.token(Role.CARE_DIRECTOR, dealer=dealer)
