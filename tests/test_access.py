"""Who may call what: one table, made from the routes, that docs/access.md shows."""

import re
from uuid import UUID

import pytest

from app.core.actors import PROGRAM_SCOPES, RIGHTS, Reach, Role
from tests import generated
from tests.api import Api
from tests.generated import Access

OPEN_TO_ALL = {
    "identity_begin_second_factor",
    "identity_change_password",
    "identity_confirm_second_factor",
    "identity_oidc",
    "identity_oidc_callback",
    "identity_oidc_exchange",
    "identity_refresh",
    "identity_sign_in",
    "member_sign_in",
    "member_sign_in_code",
    "member_sign_in_wechat",
    "member_sign_in_wechat_phone",
    "programs_token",
    "service_health",
    "service_keys",
}
OPEN_TO_THE_SIGNED_IN = {
    "identity_end_session",
    "identity_me",
    "identity_sessions",
    "identity_sign_out",
    "identity_sign_out_everywhere",
    "privacy_notices",
}
EXAMPLES = {
    "account_id": str(UUID(int=2)),
    "agency_code": "AG1",
    "application_id": str(UUID(int=3)),
    "attribute_key": "nothing",
    "budget_code": "spring",
    "call_id": str(UUID(int=24)),
    "case_id": str(UUID(int=1006)),
    "check_in_id": str(UUID(int=1007)),
    "claim_id": str(UUID(int=31)),
    "code": "BJ001",
    "day": "2099-01-01",
    "dealer_code": "BJ001",
    "delivery_id": str(UUID(int=12)),
    "dispute_id": str(UUID(int=4)),
    "document_id": str(UUID(int=1001)),
    "duplicate_id": str(UUID(int=23)),
    "event_id": str(UUID(int=1006)),
    "frame_id": str(UUID(int=1008)),
    "grant_id": str(UUID(int=7)),
    "image_id": str(UUID(int=1020)),
    "incentive_list_id": str(UUID(int=1009)),
    "incentive_rule_id": str(UUID(int=1010)),
    "interval_id": str(UUID(int=32)),
    "job_id": str(UUID(int=5)),
    "lot_id": str(UUID(int=1011)),
    "material_id": str(UUID(int=1002)),
    "member_id": str(UUID(int=1)),
    "merge_id": str(UUID(int=801)),
    "note_id": str(UUID(int=51)),
    "notice_id": str(UUID(int=1007)),
    "officer_id": str(UUID(int=20)),
    "order_id": str(UUID(int=1005)),
    "order_no": "RO-1",
    "partner_code": "COFFEE",
    "period": "2099-01",
    "perk_claim_id": str(UUID(int=1016)),
    "perk_id": str(UUID(int=1012)),
    "person_id": str(UUID(int=52)),
    "photo_id": str(UUID(int=1013)),
    "place": "BJ001",
    "posting_no": "1",
    "reading_id": str(UUID(int=33)),
    "referral_id": str(UUID(int=1014)),
    "region": "BJ",
    "registration_id": str(UUID(int=1015)),
    "request_id": str(UUID(int=1003)),
    "reward_id": str(UUID(int=1004)),
    "rule_id": str(UUID(int=1016)),
    "segment_id": str(UUID(int=10)),
    "session_id": str(UUID(int=9)),
    "signal_id": str(UUID(int=1017)),
    "statement_id": str(UUID(int=6)),
    "target_period": "2099-01",
    "tier_code": "gold",
    "transfer_id": str(UUID(int=21)),
    "vehicle_id": str(UUID(int=34)),
    "voucher_id": str(UUID(int=1018)),
    "year": "2099",
}
"""Something for every parameter in a path; none of it exists."""


def test_the_page_is_the_routes() -> None:
    page = (generated.DOCS / "access.md").read_text(encoding="utf-8")
    assert page == generated.FILES["access.md"](), "docs/access.md has drifted: `make docs` writes it"


def test_the_table_has_every_route_of_the_document() -> None:
    documented = {
        (method.upper(), path)
        for path, operations in generated.api().openapi()["paths"].items()
        for method in operations
    }
    assert {(entry.method, entry.path) for entry in generated.access()} == documented


@pytest.mark.parametrize("entry", generated.access(), ids=lambda entry: entry.operation)
def test_every_route_declares_its_actor(entry: Access) -> None:
    if entry.operation in OPEN_TO_ALL:
        assert entry.requires is None
        return
    assert entry.requires is not None, "declare Annotated[Actor, Depends(Requires(...))]"
    assert entry.requires.rights or entry.operation in OPEN_TO_THE_SIGNED_IN


@pytest.mark.parametrize("entry", generated.access(), ids=lambda entry: entry.operation)
async def test_the_service_keeps_to_the_table(api: Api, entry: Access) -> None:
    path = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], entry.path)
    if entry.requires is None:
        # what it answers stands in permissions.txt
        assert (await _status(api, entry.method, path, None)) not in {401, 403}
        return
    assert await _status(api, entry.method, path, None) == 401
    rights, also = entry.requires.rights, entry.requires.also
    for role in Role:
        # neither body nor key: who may call is refused for that, or gets an answer
        token = _token(api, role, " ".join([*rights, also or ""]))
        granted = PROGRAM_SCOPES if role is Role.API_CLIENT else RIGHTS[role]
        lacks = bool(rights and not rights & granted) or also not in {None, *granted}
        assert (await _status(api, entry.method, path, token) == 403) == lacks, role
    other = _token(api, Role.API_CLIENT, "another:scope")
    assert await _status(api, entry.method, path, other) == 403 or not rights


async def _status(api: Api, method: str, path: str, token: str | None) -> int:
    return (await api.request(method, path, token=token, headers={})).status_code


def _token(api: Api, role: Role, scopes: str) -> str:
    return api.token(
        role,
        dealer="BJ001" if role.is_dealer_staff else None,
        region="BJ" if role.reach is Reach.REGION else None,
        member=UUID(int=1) if role is Role.MEMBER else None,
        scopes=scopes if role is Role.API_CLIENT else "",
    )
