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
    "identity_refresh",
    "identity_sign_in",
    "member_sign_in",
    "member_sign_in_code",
    "member_sign_in_wechat",
    "member_sign_in_wechat_phone",
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
    "application_id": str(UUID(int=3)),
    "code": "BJ001",
    "dealer_code": "BJ001",
    "dispute_id": str(UUID(int=4)),
    "grant_id": str(UUID(int=7)),
    "job_id": str(UUID(int=5)),
    "member_id": str(UUID(int=1)),
    "order_no": "RO-1",
    "period": "2099-01",
    "posting_no": "1",
    "session_id": str(UUID(int=9)),
    "statement_id": str(UUID(int=6)),
}
"""Something for every parameter in a path; none of it exists."""


def test_the_page_is_the_routes() -> None:
    page = (generated.DOCS / "access.md").read_text(encoding="utf-8")
    assert page == generated.FILES["access.md"](), "docs/access.md has drifted: `make docs` writes it"


def test_the_table_has_every_route_of_the_document() -> None:
    documented = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in generated.api().openapi()["paths"].items()
        if path.startswith("/api/v1/")
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
        # nothing to read it from, or (OpenID Connect) nobody to ask
        assert (await api.call(entry.method, path)).status_code == (404 if entry.operation == "identity_oidc" else 422)
        return
    assert (await api.call(entry.method, path)).status_code == 401
    rights = entry.requires.rights
    for role in Role:
        # neither body nor key: who may call is refused for that, or gets an answer
        scopes = " ".join(rights)
        refused = (await api.call(entry.method, path, _token(api, role, scopes))).status_code == 403
        granted = PROGRAM_SCOPES if role is Role.API_CLIENT else RIGHTS[role]
        assert refused == bool(rights and not rights & granted), role
    other = _token(api, Role.API_CLIENT, "another:scope")
    assert (await api.call(entry.method, path, other)).status_code == 403 or not rights


def _token(api: Api, role: Role, scopes: str) -> str:
    return api.token(
        role,
        dealer="BJ001" if role.is_dealer_staff else None,
        region="BJ" if role.reach is Reach.REGION else None,
        member=UUID(int=1) if role is Role.MEMBER else None,
        scopes=scopes if role is Role.API_CLIENT else "",
    )
