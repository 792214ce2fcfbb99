"""What people may do, by day and place: given, listed, ended, and worth nothing on the day after."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.actors import Actor, Role
from app.core.clock import CHINA
from app.core.problems import InvalidPayload
from app.identity import grants, queries, service
from app.identity.models import Account, Grant
from app.identity.problems import GrantExists, SignInFailed
from tests.api import Api
from tests.identity.staff import admin
from tests.now import NOW
from tests.shop import Shop, pointers, problem

TODAY = NOW.astimezone(CHINA).date()
DAY = timedelta(days=1)
ADVISOR = {"role": "service_advisor", "dealer_code": "BJ001"}


@pytest.fixture(autouse=True)
async def network(shop: Shop) -> AsyncIterator[None]:
    await shop.partner("P1", "湖滨酒店")
    assert (await shop.post("/agencies", {"code": "A1", "name": "同行代理"}, shop.hq))[0] in {201, 409}
    yield
    shop.api.app.state.now = NOW


async def made(api: Api, username: str, **grant: Any) -> dict[str, Any]:
    body = {"username": username, "name": "李娜", "password": "a long first password", "grant": ADVISOR | grant}
    answer = await api.call("POST", "/accounts", admin(api), json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def give(api: Api, account: dict[str, Any], **grant: Any) -> httpx.Response:
    return await api.call("POST", f"/accounts/{account['id']}/grants", admin(api), json=grant)


async def end(api: Api, account: dict[str, Any], grant: dict[str, Any], **body: Any) -> httpx.Response:
    path = f"/accounts/{account['id']}/grants/{grant['id']}/end"
    return await api.call("POST", path, admin(api), json=body)


async def stands(api: Api, account: dict[str, Any], day: date) -> list[str]:
    async with api.db.session() as session:
        return [str(grant.id) for grant in await grants.current(session, UUID(account["id"]), day)]


async def test_an_account_begins_with_a_grant(api: Api):
    account = await made(api, "first.grant")
    assert (account["kind"], account["is_active"], account["scopes"], account["version"]) == ("person", True, [], 1)
    (grant,) = account["grants"]
    assert {name: grant[name] for name in ("role", "dealer_code", "region_code", "valid_from", "valid_until")} == {
        "role": "service_advisor", "dealer_code": "BJ001", "region_code": None, "valid_from": str(TODAY),
        "valid_until": None,
    }  # fmt: skip
    assert grant["granted_by"] == "admin"
    read = await api.call("GET", f"/accounts/{account['id']}", api.token(Role.AUDITOR))
    assert (read.status_code, read.json(), read.headers["ETag"]) == (200, account, '"1"')


@pytest.mark.parametrize(
    ("grant", "fault"),
    [
        ({"role": "service_advisor"}, ("/grant/dealer_code", "missing")),
        ({"role": "service_advisor", "dealer_code": "ZZ999"}, ("/grant/dealer_code", "unknown_dealer")),
        ({"role": "hq_finance", "dealer_code": "BJ001"}, ("/grant/dealer_code", "grant_reach")),
        ({"role": "regional_manager"}, ("/grant/region_code", "missing")),
        ({"role": "regional_manager", "region_code": "ZZ"}, ("/grant/region_code", "unknown_region")),
        ({"role": "partner_clerk"}, ("/grant/partner_code", "missing")),
        ({"role": "partner_clerk", "partner_code": "NOBODY"}, ("/grant/partner_code", "unknown_partner")),
        ({"role": "auditor", "partner_code": "P1"}, ("/grant/partner_code", "grant_reach")),
        ({"role": "agency_clerk", "agency_code": "NOBODY"}, ("/grant/agency_code", "unknown_agency")),
        ({"role": "agency_clerk", "partner_code": "P1"}, ("/grant/partner_code", "grant_reach")),
        ({"role": "member"}, ("/grant/role", "literal_error")),
        ({"role": "api_client"}, ("/grant/role", "literal_error")),
        ({"role": "auditor", "valid_from": str(TODAY - DAY)}, ("/grant/valid_from", "date_too_early")),
        ({"role": "auditor", "valid_until": str(TODAY - DAY)}, ("/grant/valid_until", "date_too_early")),
        ({"role": "auditor", "granted_by": "me"}, ("/grant/granted_by", "extra_forbidden")),
        ({"role": "auditor", "valid_until": "infinity"}, ("/grant/valid_until", "date_from_datetime_parsing")),
    ],
)
async def test_grants_that_cannot_be(api: Api, grant: dict[str, Any], fault: tuple[str, str]):
    body = {"username": "never.made", "name": "x", "password": "a long first password", "grant": grant}
    answer = await api.call("POST", "/accounts", admin(api), json=body)
    assert (answer.status_code, pointers(answer.json())) == (422, [fault])
    assert await api.db.pool.fetchval("SELECT count(*) FROM account WHERE username = 'never.made'") == 0


async def test_every_role_of_people_can_be_granted(api: Api):
    person = await made(api, "all.roles")
    for role in Role:
        if role in {Role.MEMBER, Role.API_CLIENT, Role.SERVICE_ADVISOR}:
            continue
        place = {
            "region": {"region_code": "BJ"}, "dealer": {"dealer_code": "BJ001"}, "partner": {"partner_code": "P1"},
            "agency": {"agency_code": "A1"},
        }  # fmt: skip
        answer = await give(api, person, role=role.value, **place.get(role.reach.value, {}))
        assert answer.status_code == 201, (role, answer.text)
    assert len(await stands(api, person, TODAY)) == 14


async def test_actors_speak_under_their_grant():
    account = Account(username="li", name="x", created_at=NOW)

    def under(role: Role, **fields: Any) -> Actor:
        grant = Grant(account_id=account.id, role=role, valid_from=TODAY, granted_by="x", granted_at=NOW, **fields)
        return grants.actor_of(account, grant)

    assert under(Role.HQ_ADMIN) == Actor("li", Role.HQ_ADMIN)
    assert under(Role.FINANCE_CLERK, dealer_code="BJ001") == Actor("li", Role.FINANCE_CLERK, dealer_code="BJ001")
    assert under(Role.REGIONAL_MANAGER, region_code="BJ") == Actor("li", Role.REGIONAL_MANAGER, region_code="BJ")
    assert under(Role.AGENCY_CLERK, agency_code="A1") == Actor("li", Role.AGENCY_CLERK, agency_code="A1")
    assert under(Role.PARTNER_CLERK, partner_code="P1") == Actor("li", Role.PARTNER_CLERK, partner_code="P1")


async def test_a_grant_is_good_from_its_first_day_to_its_last(api: Api):
    account = await made(api, "temp", valid_from=str(TODAY + DAY), valid_until=str(TODAY + 2 * DAY))
    (grant,) = account["grants"]
    days = [await stands(api, account, TODAY + number * DAY) for number in range(4)]
    assert days == [[], [grant["id"]], [grant["id"]], []]


async def test_a_grant_that_ended_yesterday_signs_nobody_in(api: Api):
    account = await made(api, "till.today", valid_until=str(TODAY))

    async def acting(now: datetime) -> Grant:
        async with api.db.session() as session:
            found = await session.get(Account, UUID(account["id"]))
            assert found is not None
            return await service.acting_under(session, found, None, now=now)

    midnight = datetime.combine(TODAY + DAY, datetime.min.time(), CHINA)
    assert (await acting(midnight - timedelta(seconds=1))).role == Role.SERVICE_ADVISOR
    with pytest.raises(SignInFailed):
        await acting(midnight)


def test_no_token_outlives_its_grant():
    grant = Grant(
        account_id=UUID(int=1), role=Role.AUDITOR, valid_from=TODAY, valid_until=date(2026, 11, 21), granted_by="x",
        granted_at=NOW,
    )  # fmt: skip
    quarter = timedelta(minutes=15)
    assert grants.ends_at(grant) == datetime(2026, 11, 21, 16, tzinfo=UTC)
    evening = datetime(2026, 11, 21, 15, 50, tzinfo=UTC)
    assert grants.lifetime(grant, evening - timedelta(hours=1), quarter) == quarter
    assert grants.lifetime(grant, evening, quarter) == timedelta(minutes=10)
    assert grants.lifetime(grant, evening + timedelta(hours=1), quarter) == timedelta(0)
    grant.valid_until = None
    assert grants.lifetime(grant, evening + timedelta(hours=1), quarter) == quarter


async def test_of_several_grants_one_is_chosen(api: Api):
    account = await made(api, "two.hats")
    other = (await give(api, account, role="finance_clerk", dealer_code="SH001")).json()
    first = account["grants"][0]["id"]
    foreign = (await made(api, "someone.else"))["grants"][0]["id"]
    async with api.db.session() as session:
        for wanted, chosen in ((None, first), (other["id"], other["id"]), (foreign, None), (str(UUID(int=1)), None)):
            found = await grants.choose(session, UUID(account["id"]), TODAY, UUID(wanted) if wanted else None)
            assert (str(found.id) if found else None) == chosen
    me = await api.call("GET", "/me", api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="two.hats"))
    assert [grant["id"] for grant in me.json()["grants"]] == [first, other["id"]]


async def test_me_lists_no_grant_that_is_over(api: Api):
    account = await made(api, "was.here", valid_until=str(TODAY))
    api.app.state.now = NOW + 2 * DAY
    token = api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="was.here")
    assert (await api.call("GET", "/me", token)).json()["grants"] == []
    assert len((await api.call("GET", f"/accounts/{account['id']}", admin(api))).json()["grants"]) == 1


async def test_a_role_is_not_given_twice_for_one_day(api: Api):
    account = await made(api, "twice", valid_until=str(TODAY + 10 * DAY))
    for days, status in (((0, None), 409), ((10, 20), 409), ((11, 20), 201), ((5, 6), 409), ((20, None), 409)):
        span = {"valid_from": str(TODAY + days[0] * DAY)}
        span |= {"valid_until": str(TODAY + days[1] * DAY)} if days[1] else {}
        assert (await give(api, account, **ADVISOR, **span)).status_code == status, days
    assert (await give(api, account, role="service_advisor", dealer_code="SH001")).status_code == 201


async def test_two_that_give_the_same_at_once(api: Api):
    account = await made(api, "at.once")
    answers = await asyncio.gather(*(give(api, account, role="auditor") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {problem(answer) for answer in answers if answer.status_code == 409} == {(409, "/problems/grant-exists")}


async def test_a_grant_ends_at_once_or_on_a_day(api: Api):
    account = await made(api, "ending")
    (grant,) = account["grants"]
    later = await end(api, account, grant, last_day=str(TODAY + 5 * DAY))
    assert (later.status_code, later.json()["valid_until"]) == (200, str(TODAY + 5 * DAY))
    too_late = await end(api, account, grant, last_day=str(TODAY + 6 * DAY))
    assert pointers(too_late.json()) == [("/last_day", "date_too_late")]
    past = await end(api, account, grant, last_day=str(TODAY - DAY))
    assert pointers(past.json()) == [("/last_day", "date_too_early")]
    assert (await end(api, account, grant)).json()["valid_until"] == str(TODAY - DAY)
    assert await stands(api, account, TODAY) == []
    again = await end(api, account, grant)
    assert (again.status_code, again.json()["valid_until"]) == (200, str(TODAY - DAY))


async def test_one_that_had_not_begun_never_begins(api: Api):
    account = await made(api, "never.begun", valid_from=str(TODAY + 5 * DAY))
    (grant,) = account["grants"]
    assert (await end(api, account, grant)).json()["valid_until"] == str(TODAY + 4 * DAY)
    assert [await stands(api, account, TODAY + number * DAY) for number in (4, 5, 6)] == [[], [], []]


async def test_an_old_grant_keeps_its_end(api: Api):
    account = await made(api, "long.gone", valid_until=str(TODAY))
    (grant,) = account["grants"]
    api.app.state.now = NOW + 9 * DAY
    assert (await end(api, account, grant)).json()["valid_until"] == str(TODAY)


async def test_grants_of_others_and_of_nobody(api: Api):
    one, other = await made(api, "one"), await made(api, "other")
    assert problem(await end(api, one, other["grants"][0])) == (404, "/problems/not-found")
    assert problem(await give(api, {"id": str(UUID(int=5))}, role="auditor")) == (404, "/problems/not-found")


async def test_nobody_decides_on_an_account_of_ones_own(api: Api):
    account = await made(api, "self.made")
    own = api.token(Role.HQ_ADMIN, subject="self.made")
    path = f"/accounts/{account['id']}"
    refused = (
        await api.call("POST", f"{path}/grants", own, json={"role": "hq_finance"}),
        await api.call("POST", f"{path}/grants/{account['grants'][0]['id']}/end", own, json={}),
        await api.call("PATCH", path, own, json={"is_active": False}, headers={"If-Match": '"1"'}),
    )
    assert {problem(answer) for answer in refused} == {(409, "/problems/own-account")}
    assert (await api.call("GET", path, admin(api))).json() == account


async def test_an_account_is_changed_with_its_version(api: Api):
    account = await made(api, "changing")
    path = f"/accounts/{account['id']}"

    async def change(if_match: str, **body: Any) -> httpx.Response:
        return await api.call("PATCH", path, admin(api), json=body, headers={"If-Match": if_match})

    changed = await change('"1"', name="李娜娜", is_active=False)
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json()["name"], changed.json()["is_active"]) == ("李娜娜", False)
    assert problem(await change('"1"', is_active=True)) == (412, "/problems/precondition-failed")
    assert pointers((await change('"2"', scopes=["points:earn"])).json()) == [("/scopes", "scopes_of_person")]
    for field in ("role", "username", "kind", "password_hash", "version", "id", "grants"):
        assert pointers((await change('"2"', **{field: "x"})).json()) == [(f"/{field}", "extra_forbidden")]


async def test_accounts_are_found_by_what_is_granted(api: Api):
    manager = await made(api, "found.manager", role="regional_manager", dealer_code=None, region_code="BJ")
    at_shanghai = await made(api, "found.shanghai", dealer_code="SH001")
    assert (await end(api, at_shanghai, at_shanghai["grants"][0])).status_code == 200
    still = await made(api, "found.still", dealer_code="SH001")

    async def listed(**filters: Any) -> list[str]:
        found, cursor = [], None
        while True:
            given = {"limit": 2} | filters | ({"cursor": cursor} if cursor else {})
            page = (await api.call("GET", "/accounts", admin(api), params=given)).json()
            found += [account["id"] for account in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert await listed(role="regional_manager", is_active=True)
    assert manager["id"] in await listed(role="regional_manager")
    at_sh = await listed(dealer_code="SH001")
    assert (still["id"] in at_sh, at_shanghai["id"] in at_sh) == (True, False)
    everyone = await listed()
    assert everyone == sorted(set(everyone))
    assert {manager["id"], at_shanghai["id"], still["id"]} <= set(everyone)
    assert await listed(kind="program") == []


async def test_a_repeated_creation_is_answered_alike(api: Api):
    body = {"username": "idem.one", "name": "x", "password": "a long first password", "grant": ADVISOR}
    first = await api.call("POST", "/accounts", admin(api), json=body, key="make-idem")
    again = await api.call("POST", "/accounts", admin(api), json=body, key="make-idem")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert problem(await api.call("POST", "/accounts", admin(api), json=body)) == (409, "/problems/username-taken")


async def test_staff_who_work_elsewhere_too_are_not_a_dealers_to_deactivate(api: Api):
    person = await made(api, "both.sides")
    assert (await give(api, person, role="hq_operations")).status_code == 201
    director = api.token(Role.CARE_DIRECTOR, dealer="BJ001")
    send: dict[str, Any] = {"json": {"is_active": False}, "headers": {"If-Match": '"1"'}}
    assert problem(await api.call("PATCH", f"/staff/{person['id']}", director, **send)) == (403, "/problems/forbidden")
    stranger = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await api.call("PATCH", f"/staff/{person['id']}", stranger, **send)).status_code == 404


async def test_former_staff_are_staff_no_more(api: Api):
    person = await made(api, "former", dealer_code="SH001")
    async with api.db.session() as session:
        before = await queries.staff_of(session, "SH001", TODAY, after=None, limit=200)
        assert "former" in [member.account.username for member in before]
    await end(api, person, person["grants"][0])
    async with api.db.session() as session:
        after = await queries.staff_of(session, "SH001", TODAY, after=None, limit=200)
        assert "former" not in [member.account.username for member in after]
    director = api.token(Role.CARE_DIRECTOR, dealer="SH001")
    send: dict[str, Any] = {"json": {"is_active": False}, "headers": {"If-Match": '"1"'}}
    assert (await api.call("PATCH", f"/staff/{person['id']}", director, **send)).status_code == 404


async def test_the_service_itself_cannot_rewrite_what_was_given(api: Api):
    await made(api, "written")
    for change in ("role = 'hq_admin'", "valid_from = '2000-01-01'", "dealer_code = NULL", "granted_by = 'x'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.db.pool.execute(f"UPDATE account_grant SET {change}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.db.pool.execute("DELETE FROM account_grant")


async def test_the_rules_hold_below_the_routes_too(api: Api):
    account = await made(api, "below")
    async with api.db.session() as session:
        found = await session.get(Account, UUID(account["id"]))
        assert found is not None
        with pytest.raises(InvalidPayload):
            await grants.give(session, found, Role.AUDITOR, by="x", now=NOW, dealer_code="BJ001")
        with pytest.raises(GrantExists):
            await grants.give(session, found, Role.SERVICE_ADVISOR, by="x", now=NOW, dealer_code="BJ001")


async def test_sessions_end_with_the_grant_they_may_rest_on(api: Api):
    account = await made(api, "signed.in")
    (grant,) = account["grants"]

    async def opened() -> tuple[str, str]:
        async with api.db.session() as session:
            found = await session.get(Account, UUID(account["id"]))
            assert found is not None
            actor = grants.actor_of(found, await service.acting_under(session, found, None, now=NOW))
            signed_in = await api.app.state.sessions.open_session(
                session, actor, account_id=found.id, now=NOW, device="a test"
            )
        return signed_in.access_token, signed_in.refresh_token

    async def refreshed(token: str) -> int:
        return (await api.call("POST", "/sign-in/refresh", json={"refresh_token": token})).status_code

    _, still = await opened()
    assert (await end(api, account, grant, last_day=str(TODAY + DAY))).status_code == 200
    assert await refreshed(still) == 200
    _, over = await opened()
    assert (await end(api, account, grant)).status_code == 200
    assert await refreshed(over) == 401


async def test_a_session_cannot_be_refreshed_past_its_grant(api: Api):
    account = await made(api, "past.it", valid_until=str(TODAY))
    midnight = datetime.combine(TODAY + DAY, datetime.min.time(), CHINA)
    late = api.app.state.now = midnight - timedelta(minutes=1)
    async with api.db.session() as session:
        found = await session.get(Account, UUID(account["id"]))
        assert found is not None
        actor = grants.actor_of(found, await service.acting_under(session, found, None, now=late))
        signed_in = await api.app.state.sessions.open_session(
            session, actor, account_id=found.id, now=late, device="a test"
        )
    assert signed_in.expires_at == midnight
    api.app.state.now = midnight
    assert (await api.call("GET", "/me", signed_in.access_token)).status_code == 401
    refresh = {"refresh_token": signed_in.refresh_token}
    assert (await api.call("POST", "/sign-in/refresh", json=refresh)).status_code == 401
