"""Every route, every role, for what is its own, foreign or absent: permissions.txt says what is expected."""

import re
from collections.abc import AsyncIterator

import pytest

from app.core.actors import RIGHTS, Right, Role
from tests.api import running_api
from tests.asking import World, open_world
from tests.generated import EXPECTED, Access, access
from tests.permissions import line

MEMBERS_OWN = re.compile(r"/api/v1/(me/|members/me(/|$)|redemptions/code$)")
"""Where members find what is theirs alone; others read the same by the member's id."""
IN_CLEAR = {"privacy_export", "privacy_page"}
"""A member's own copy of its data, with the whole phone number; the auditor reads the same piece by piece, masked."""
ON_A_DEVICE = {"vouchers_offline", "check_ins_offline_list"}
"""What a till or a door carries along, good to be sent back."""
AT_THE_COUNTER = {"counter_lookup", "holds_create", "redemptions_redeem", "redemptions_send_code"}
EVERY_CHAPTERS = {
    "documents_content", "documents_get", "documents_readings", "documents_versions", "materials_get",
}  # fmt: skip
"""Headquarters' documents and materials; of the readings, each sees its own."""
ONES_OWN = {"identity_end_session", "identity_sign_out", "identity_sign_out_everywhere"}


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    async with running_api(dsn) as api:
        yield await open_world(api)


def test_every_route_has_its_line() -> None:
    assert sorted(EXPECTED) == sorted(entry.operation for entry in access())


@pytest.mark.parametrize("entry", access(), ids=lambda entry: entry.operation)
async def test_the_service_keeps_to_the_line(world: World, entry: Access) -> None:
    assert (await line(world, entry)).split() == [entry.operation, *EXPECTED.get(entry.operation, [])]


# --- what the table must say ---


def guarded() -> dict[str, tuple[Access, dict[Role, str]]]:
    """Every guarded route that has its line, with what each role gets of it."""
    return {
        entry.operation: (entry, dict(zip(Role, EXPECTED[entry.operation], strict=True)))
        for entry in access()
        if entry.requires is not None and entry.operation in EXPECTED
    }


def test_the_auditor_reads_all_and_changes_nothing() -> None:
    for operation, (entry, cells) in guarded().items():
        reads = entry.method == "GET" or operation.endswith("_search") or operation == "segments_preview"
        if operation in ONES_OWN:
            continue
        serves = reads and not MEMBERS_OWN.match(entry.path) and operation not in ON_A_DEVICE | IN_CLEAR
        assert ("y" in cells[Role.AUDITOR]) == serves, operation
        assert serves or cells[Role.AUDITOR] == "-", operation


@pytest.mark.parametrize("role", [role for role in Role if role.is_dealer_staff or role is Role.REGIONAL_MANAGER])
def test_no_dealer_is_served_anothers_unless_at_the_counter(role: Role) -> None:
    served = {operation for operation, (_, cells) in guarded().items() if cells[role].startswith("yy.")}
    assert served <= AT_THE_COUNTER | {"attributes_get", "intervals_get", "regions_list", "tiers_get"} | EVERY_CHAPTERS


def test_what_may_be_listed_may_be_opened() -> None:
    cells = {operation: cells for operation, (_, cells) in guarded().items()}
    for listed, opened in (
        ("accounts_list", "accounts_get"), ("applications_list", "applications_get"), ("dealers_list", "dealers_get"),
        ("members_list", "members_get"), ("orders_list", "orders_read"), ("statements_list", "statements_read"),
    ):  # fmt: skip
        for role in Role:
            assert cells[listed][role] in {"-", cells[opened][role]}, (listed, role)


def test_who_takes_records_away_may_export() -> None:
    for role in Role:
        # a member takes its own
        assert role is Role.MEMBER or Right.PRIVACY_WRITE not in RIGHTS[role] or Right.RECORDS_EXPORT in RIGHTS[role]
    _, cells = guarded()["orders_import_rejected"]
    assert all(cells[role] == "-" for role in Role if role is not Role.API_CLIENT and not _exports(role))


def _exports(role: Role) -> bool:
    return Right.RECORDS_EXPORT in RIGHTS[role]
