"""What is recorded by name: sign-ins, exports, imports, months closed, orders cancelled."""

from datetime import date
from typing import Any

import pytest

from app.core.actors import Role
from app.settlement.models import Statement
from tests.api import Api
from tests.audit.trail import deeds
from tests.identity.staff import hire, sign_in
from tests.now import NOW
from tests.shop import Shop, order


async def test_in_and_out(api: Api, shop: Shop):
    account = await hire(api, "zhang.min", Role.CARE_STAFF, dealer="BJ001")
    signed_in = (await sign_in(api, "zhang.min")).json()
    assert (await api.call("POST", "/sign-out", signed_in["access_token"])).status_code == 204
    (came,) = await deeds(api, target_id=account.id, action="signed-in")
    (went,) = await deeds(api, target_id=account.id, action="signed-out")
    assert [(deed["actor"], deed["reach"], deed["operation"], deed["address"]) for deed in (came, went)] == [
        ("zhang.min", "dealer:BJ001", "identity_sign_in", "127.0.0.1"),
        ("zhang.min", "dealer:BJ001", "identity_sign_out", "127.0.0.1"),
    ]
    assert went["changes"] == {"ended_because": [None, "signed_out"]}


async def test_out_everywhere(api: Api, shop: Shop):
    await hire(api, "wu.jie", Role.CARE_STAFF, dealer="BJ001")
    tokens = [(await sign_in(api, "wu.jie")).json()["access_token"] for _ in range(2)]
    assert (await api.call("POST", "/sign-out-everywhere", tokens[0])).status_code == 204
    (went,) = await deeds(api, actor="wu.jie", action="signed-out")
    assert (went["target_kind"], len(went["target_ids"])) == ("session", 2)


async def test_a_refresh_token_that_comes_back(api: Api, shop: Shop):
    account = await hire(api, "ma.copied", Role.CARE_STAFF, dealer="BJ001")
    body = {"refresh_token": (await sign_in(api, "ma.copied")).json()["refresh_token"]}
    statuses = [(await api.call("POST", "/sign-in/refresh", json=body)).status_code for _ in range(3)]
    assert statuses == [200, 401, 401]
    (ended,) = await deeds(api, target_id=account.id, action="signed-out")
    assert (ended["operation"], ended["changes"]) == ("identity_refresh", {"ended_because": [None, "reused"]})
    session_id = await api.db.pool.fetchval("SELECT id FROM login_session WHERE account_id = $1", account.id)
    # each time, also when the session was over already
    refused = await deeds(api, target_id=session_id, action="refused")
    assert [(deed["outcome"], deed["target_kind"]) for deed in refused] == 2 * [("session-ended", "session")]


async def test_who_was_not_let_in(api: Api, shop: Shop):
    account = await hire(api, "liu.yang", Role.CARE_STAFF, dealer="BJ001")
    assert (await sign_in(api, "liu.yang", "not the password")).status_code == 401
    (refused,) = await deeds(api, target_id=account.id, action="refused")
    assert (refused["actor"], refused["outcome"], refused["target_kind"]) == (None, "sign-in-failed", "account")
    count = len(await deeds(api, outcome="sign-in-failed"))
    # as much is written for a name that nobody has, and the name, which may be a password, is not
    assert (await sign_in(api, "nobody.has.this", "not the password")).status_code == 401
    unknown, *others = await deeds(api, outcome="sign-in-failed")
    assert (len(others), unknown["target_kind"], unknown["target_ids"]) == (count, "account", [])
    assert (
        await api.db.pool.fetchval("SELECT count(*) FROM audit_event e WHERE to_jsonb(e)::text LIKE '%nobody.has%'")
        == 0
    )


async def test_an_account_and_its_password(api: Api, shop: Shop):
    account = await hire(api, "chen.xia", Role.CARE_STAFF, dealer="BJ001", own_password=False)
    (created,) = await deeds(api, target_kind="account", target_id=account.id)
    assert created["changes"]["password_hash"] is None
    assert created["changes"]["username"] == [None, "chen.xia"]
    (given,) = [deed for deed in await deeds(api, target_kind="grant") if str(account.id) in str(deed["changes"])]
    assert given["changes"]["role"] == [None, "care_staff"]


async def test_a_statement_taken_away_as_a_file(api: Api, shop: Shop):
    async with api.db.session() as session:
        statement = Statement(
            period=date(2025, 6, 1), dealer_code="BJ001", credit_fen=0, charge_fen=0, net_fen=0, issued_at=NOW,
            confirm_by=date(2025, 7, 10),
        )  # fmt: skip
        session.add(statement)
    clerk = api.token(Role.FINANCE_CLERK, dealer="BJ001", subject="clerk.exporting")
    for _ in range(2):
        assert (await api.call("GET", f"/statements/{statement.id}", clerk)).status_code == 200
    assert await deeds(api, actor="clerk.exporting") == [], "to look at it is no export"
    answer = await api.call("GET", f"/statements/{statement.id}", clerk, params={"format": "csv"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    (taken,) = await deeds(api, actor="clerk.exporting")
    assert (taken["action"], taken["target_kind"], taken["target_ids"]) == (
        "exported", "statement", [str(statement.id)],
    )  # fmt: skip


async def test_a_month_closed(api: Api, shop: Shop):
    period = "2025-05"
    assert (await api.call("POST", f"/periods/{period}/close", shop.hq)).status_code == 200
    (closed,) = await deeds(api, action="closed")
    assert (closed["target_kind"], closed["target_ids"], closed["operation"]) == ("period", [period], "periods_close")
    assert (await api.call("POST", f"/periods/{period}/close", shop.hq)).status_code == 200
    assert len(await deeds(api, action="closed")) == 1, "closing again changes nothing"


async def test_an_upload_and_its_refused_rows(api: Api, shop: Shop):
    answer = await api.call(
        "POST", "/repair-orders/imports", shop.program, content=b"dealer_code\n", headers={"Content-Type": "text/csv"}
    )
    job = answer.json()["id"]
    assert (await api.call("GET", f"/repair-orders/imports/{job}/rejected.csv", shop.program)).status_code == 200
    exported, imported = await deeds(api, target_id=job)
    assert (imported["action"], imported["changes"], imported["role"]) == (
        "imported", {"bytes": [None, 12]}, "api_client",
    )  # fmt: skip
    assert (exported["action"], exported["changes"]) == ("exported", {"rows": [None, 0]})


async def test_an_order_taken_out_of_the_books(api: Api, shop: Shop):
    member = await shop.member()
    body = order(member.vin)
    assert (await shop.post("/repair-orders", body, shop.program))[0] == 201
    path = f"/repair-orders/BJ001/{body['order_no']}/cancellation"
    for _ in range(2):
        assert (await shop.post(path, {"reason": "typed twice"}, shop.program))[0] == 200
    (cancelled,) = await deeds(api, target_id=f"BJ001/{body['order_no']}")
    assert (cancelled["action"], cancelled["operation"]) == ("cancelled", "orders_cancel")


@pytest.mark.parametrize(("secret", "outcome"), [("right", "done"), ("wrong", "invalid-client")])
async def test_a_programs_token(api: Api, shop: Shop, secret: str, outcome: str):
    made = (await _program(api, f"dms.{secret}")).json()
    form = {
        "grant_type": "client_credentials",
        "client_id": f"dms.{secret}",
        "client_secret": made["client_secret"] if secret == "right" else "wrong",
    }
    answer = await api.http.post("/oauth/token", data=form)
    assert answer.status_code == (200 if outcome == "done" else 401)
    (found,) = [deed for deed in await deeds(api, outcome=outcome, limit=200) if deed["operation"] == "programs_token"]
    assert (found["action"], found["actor"]) == (
        ("token-issued", "dms.right") if outcome == "done" else ("refused", None)
    )
    whole = "".join(str(deed) for deed in await deeds(api, limit=200))
    assert made["client_secret"] not in whole


async def _program(api: Api, username: str) -> Any:
    body = {"username": username, "name": "DMS", "scopes": ["members:read"]}
    answer = await api.call("POST", "/programs", api.token(Role.HQ_ADMIN), json=body)
    assert answer.status_code == 201, answer.text
    return answer
