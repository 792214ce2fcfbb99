"""Staff accounts: who may give which role, decide on whom, and what headquarters deactivated stays so."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.core.actors import Role
from app.identity.rules import MAY_GIVE
from tests.api import Api
from tests.audit.trail import deeds
from tests.identity.staff import PASSWORD, hire, sign_in
from tests.now import NOW
from tests.shop import Shop, pointers, problem

NEW = "a lake of slow herons"
FORBIDDEN = (403, "/problems/forbidden")
DEALER_ROLES = [role for role in Role if role.is_dealer_staff]


@pytest.fixture(autouse=True)
async def network(shop: Shop) -> AsyncIterator[None]:
    yield
    shop.api.app.state.now = NOW
    shop.api.http.cookies.clear()
    await shop.pool.execute("DELETE FROM sign_in_attempt")


def giver(api: Api, role: Role, subject: str = "") -> str:
    return api.token(role, dealer="BJ001" if role.is_dealer_staff else None, subject=subject)


async def create(api: Api, token: str, username: str, **fields: Any) -> httpx.Response:
    body = {"username": username, "name": "李", "role": "service_advisor", "password": PASSWORD} | fields
    return await api.call("POST", "/dealers/BJ001/staff", token, json=body)


async def change(api: Api, token: str, account_id: object, **fields: Any) -> httpx.Response:
    version = await api.db.pool.fetchval("SELECT version FROM account WHERE id::text = $1", str(account_id))
    return await api.call("PATCH", f"/staff/{account_id}", token, json=fields, headers={"If-Match": f'"{version}"'})


# --- giving roles ---


@pytest.mark.parametrize("role", DEALER_ROLES)
@pytest.mark.parametrize("by", [Role.HQ_ADMIN, Role.HQ_OPERATIONS, Role.CARE_DIRECTOR])
async def test_who_may_give_which_role(api: Api, by: Role, role: Role):
    answer = await create(api, giver(api, by), f"{by}.gives.{role}", role=role.value)
    assert answer.status_code == (201 if role in MAY_GIVE[by] else 403), answer.text
    expected = {
        Role.HQ_ADMIN: set(DEALER_ROLES),
        Role.HQ_OPERATIONS: set(DEALER_ROLES) - {Role.FINANCE_CLERK},
        Role.CARE_DIRECTOR: {Role.CARE_STAFF, Role.SERVICE_ADVISOR, Role.SALES_CONSULTANT},
    }[by]
    assert (answer.status_code == 201) == (role in expected)
    if answer.status_code == 403:
        assert await api.db.pool.fetchval("SELECT count(*) FROM account WHERE username = $1", f"{by}.gives.{role}") == 0


async def test_nobody_who_spends_makes_who_confirms(api: Api):
    """A director with a clerk of their own would confirm what they spent themselves."""
    for by in (Role.CARE_DIRECTOR, Role.HQ_OPERATIONS):
        refused = await create(api, giver(api, by), "clerk.of.mine", role="finance_clerk")
        assert problem(refused) == FORBIDDEN
    clerk = await hire(api, "the.clerk", Role.FINANCE_CLERK, dealer="BJ001")
    director = giver(api, Role.CARE_DIRECTOR)
    for fields in ({"is_active": False}, {"name": "x"}):
        assert problem(await change(api, director, clerk.id, **fields)) == FORBIDDEN
    assert problem(await reset(api, director, clerk.id)) == FORBIDDEN
    assert (await sign_in(api, "the.clerk")).status_code == 401, "asked for a second factor, so the password is good"


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("password1234", "password_common"),
        ("my name is li.weak", "password_has_username"),
        ("elevenchars", "value_invalid"),
    ],
)
async def test_a_first_password_is_judged_too(api: Api, password: str, fault: str):
    refused = await create(api, giver(api, Role.CARE_DIRECTOR), "li.weak", password=password)
    assert (refused.status_code, pointers(refused.json())) == (422, [("/password", fault)])
    assert password not in refused.text


# --- headquarters' word stands ---


async def test_a_dealer_does_not_undo_what_headquarters_did(api: Api):
    person = await hire(api, "li.blocked", Role.SERVICE_ADVISOR, dealer="BJ001")
    director, operations = giver(api, Role.CARE_DIRECTOR), giver(api, Role.HQ_OPERATIONS)
    blocked = await change(api, operations, person.id, is_active=False)
    assert (blocked.status_code, blocked.json()["is_blocked"]) == (200, True)
    # deactivating once more does not make it the dealer's decision
    assert (await change(api, director, person.id, is_active=False)).json()["is_blocked"] is True
    for token in (director, operations):
        refused = await change(api, token, person.id, is_active=True)
        assert problem(refused) == (409, "/problems/account-blocked")
    assert (await sign_in(api, "li.blocked")).status_code == 401
    back = await change(api, giver(api, Role.HQ_ADMIN), person.id, is_active=True)
    assert (back.status_code, back.json()["is_active"], back.json()["is_blocked"]) == (200, True, False)
    assert (await sign_in(api, "li.blocked")).status_code == 200


async def test_administrators_block_by_accounts(api: Api):
    person = await hire(api, "li.accounts", Role.SERVICE_ADVISOR, dealer="BJ001")
    director, admin = giver(api, Role.CARE_DIRECTOR), giver(api, Role.HQ_ADMIN)
    # the dealer's own decision first, then headquarters'
    assert (await change(api, director, person.id, is_active=False)).json()["is_blocked"] is False
    path, again = f"/accounts/{person.id}", {"If-Match": '"2"'}
    blocked = await api.call("PATCH", path, admin, json={"is_active": False}, headers=again)
    assert (blocked.status_code, blocked.json()["is_blocked"]) == (200, True)
    refused = await change(api, director, person.id, is_active=True)
    assert problem(refused) == (409, "/problems/account-blocked")


async def test_a_dealer_undoes_its_own(api: Api):
    person = await hire(api, "li.back", Role.SERVICE_ADVISOR, dealer="BJ001")
    director = giver(api, Role.CARE_DIRECTOR)
    for active in (False, True):
        changed = await change(api, director, person.id, is_active=active)
        assert (changed.status_code, changed.json()["is_active"], changed.json()["is_blocked"]) == (200, active, False)
    assert (await sign_in(api, "li.back")).status_code == 200


async def test_nobody_decides_on_oneself(api: Api):
    me = await hire(api, "the.director", Role.CARE_DIRECTOR, dealer="BJ001")
    own = giver(api, Role.CARE_DIRECTOR, "the.director")
    for refused in (await change(api, own, me.id, is_active=False), await reset(api, own, me.id)):
        assert problem(refused) == (409, "/problems/own-account")


async def test_two_editors_of_one_person(api: Api):
    person = await hire(api, "li.edited", Role.SERVICE_ADVISOR, dealer="BJ001")
    late = await api.call(
        "PATCH", f"/staff/{person.id}", giver(api, Role.CARE_DIRECTOR), json={"name": "x"}, headers={"If-Match": '"9"'}
    )
    assert problem(late) == (412, "/problems/precondition-failed")


# --- lost passwords ---


async def reset(api: Api, token: str, account_id: object, password: str = NEW) -> httpx.Response:
    return await api.call("PUT", f"/staff/{account_id}/password", token, json={"password": password})


async def test_a_director_gives_a_new_first_password(api: Api):
    person = await hire(api, "li.lost", Role.SERVICE_ADVISOR, dealer="BJ001")
    session = (await sign_in(api, "li.lost")).json()
    director = giver(api, Role.CARE_DIRECTOR, "zhao.director")
    weak = await reset(api, director, person.id, "password1234")
    assert (weak.status_code, pointers(weak.json())) == (422, [("/password", "password_common")])
    assert (await reset(api, director, person.id)).status_code == 204
    ended = await api.call("POST", "/sign-in/refresh", json={"refresh_token": session["refresh_token"]})
    assert problem(ended) == (401, "/problems/session-ended")
    assert problem(await sign_in(api, "li.lost", NEW)) == (403, "/problems/password-change-required")
    assert (await sign_in(api, "li.lost")).status_code == 401
    recorded = await deeds(api, actor="zhao.director", operation="staff_reset_password", action="changed")
    assert {(deed["target_kind"], *deed["target_ids"]) for deed in recorded} >= {("account", str(person.id))}
    assert all(NEW not in str(deed) for deed in recorded)


async def test_whose_password_a_director_does_not_give(api: Api, shop: Shop):
    foreign = await hire(api, "li.shanghai", Role.SERVICE_ADVISOR, dealer="SH001")
    boss = await hire(api, "li.manager", Role.GENERAL_MANAGER, dealer="BJ001")
    both = await hire(api, "li.both", Role.SERVICE_ADVISOR, dealer="BJ001")
    more = await api.call(
        "POST", f"/accounts/{both.id}/grants", shop.hq, json={"role": "care_staff", "dealer_code": "SH001"}
    )
    assert more.status_code == 201
    director = giver(api, Role.CARE_DIRECTOR)
    assert (await reset(api, director, foreign.id)).status_code == 404
    for person in (boss, both):
        assert problem(await reset(api, director, person.id)) == FORBIDDEN
        assert (await sign_in(api, person.username)).status_code == 200, "the old one is still good"
    for role in (Role.SERVICE_ADVISOR, Role.GENERAL_MANAGER, Role.AUDITOR):
        assert problem(await reset(api, giver(api, role), both.id)) == FORBIDDEN
