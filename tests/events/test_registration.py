"""Members register with their parties: who may, for what fee, once, and what is refused."""

from datetime import timedelta

from tests.events.desk import DAY, Desk, faults
from tests.events.guests import Guests, disagreeing, family
from tests.shop import Shop

CHILD = {"name": "小宝", "is_minor": True, "guardian": "张伟"}


async def test_a_party_is_seated_together(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=4)
    member = await guests.member()
    status, made = await guests.register(event, member, *family(2), CHILD)
    assert (status, made["status"], made["party"], made["position"]) == (201, "registered", 3, None)
    assert made["companions"] == [{"name": "家人1", "is_minor": False, "guardian": None}, CHILD]
    assert (await guests.own(event, member))[1] == made
    assert await guests.seats(event) == {
        "capacity": 4, "seated": 3, "offered": 0, "free": 1, "waiting_parties": 0, "waiting_persons": 0,
        "checked_in": 0,
    }  # fmt: skip
    assert await disagreeing(dsn) == {}


async def test_a_minor_has_a_guardian_and_nobody_else(guests: Guests, desk: Desk) -> None:
    event = await desk.opened()
    member = await guests.member()
    for companion in ({"name": "小宝", "is_minor": True}, {"name": "李娜", "guardian": "张伟"}):
        status, answer = await guests.register(event, member, companion)
        assert (status, faults(answer)) == (422, {"/companions/0": "minor_guardian"})


async def test_a_retry_gets_the_first_answer_and_another_request_does_not(guests: Guests, desk: Desk) -> None:
    event = await desk.opened()
    member = await guests.member()
    first = await guests.register(event, member, key="mine")
    assert await guests.register(event, member, key="mine") == first
    for again in (await guests.register(event, member), await guests.register(event, member, CHILD, key="mine")):
        assert (again[0], again[1]["type"]) == (409, "/problems/already-registered")
    assert (await guests.seats(event))["seated"] == 1


async def test_who_has_cancelled_registers_anew_behind_the_others(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=1)
    first, _ = await guests.seated(event)
    second, _ = await guests.seated(event)
    assert (await guests.do(event, first, "cancellation", reason="出差"))[1]["status"] == "cancelled"
    status, anew = await guests.register(event, first)
    assert (status, anew["status"]) == (201, "waiting")
    assert await guests.status(event, second) == "offered"


async def test_a_party_larger_than_the_event_is_refused(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=2)
    status, answer = await guests.register(event, await guests.member(), *family(3))
    assert (status, answer["type"]) == (409, "/problems/party-too-big")
    assert (answer["party"], answer["capacity"]) == (3, 2)


async def test_only_between_the_times_of_the_registration(guests: Guests, desk: Desk) -> None:
    event = await desk.published()
    member = await guests.member()
    status, answer = await guests.register(event, member)
    assert (status, answer["type"]) == (409, "/problems/registration-not-open")
    token = desk.of(member)
    known = desk.shop.api.app.state.tokens.actor(token)
    async with desk.shop.at(DAY - timedelta(days=14)):
        usual = desk.shop.api.app.state.authenticate
        desk.shop.api.app.state.authenticate = lambda sent: known if sent == token else usual(sent)
        # at its second, whether or not the clock has moved the event on
        path, body = "/members/me/event-registrations", {"event_id": event["id"]}
        assert (await desk.shop.post(path, body, token))[0] == 201
        desk.shop.api.app.state.now = DAY - timedelta(days=2)
        assert (await desk.shop.post(path, body, token))[1]["type"] == "/problems/registration-not-open"
    await desk.done(event, "opening")
    await desk.done(event, "closing")
    assert (await guests.register(event, await guests.member()))[1]["type"] == "/problems/registration-not-open"


async def test_a_draft_is_not_there_for_members(guests: Guests, desk: Desk) -> None:
    member = await guests.member()
    assert (await guests.register(await desk.plan(), member))[0] == 404
    assert (await guests.own(await desk.plan(), member))[0] == 404


async def test_where_it_is_not_open_the_invited_register(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(is_open=False)
    invited, control, other = [await guests.member() for _ in range(3)]
    for member, is_control in ((invited, False), (control, True)):
        await shop.pool.execute(
            "INSERT INTO invitation (event_id, member_id, is_control, invited_by, invited_at)"
            " VALUES ($1, $2, $3, 'tests', now())", event["id"], member.id, is_control,
        )  # fmt: skip
    assert (await guests.register(event, invited))[0] == 201
    for member in (control, other):
        assert (await guests.register(event, member))[1]["type"] == "/problems/not-invited"
    # whom staff register is invited by that
    assert (await guests.staff(event, "registrations", member_id=str(other.id)))[0] == 201


async def test_answers_are_held_against_the_questions(guests: Guests, desk: Desk) -> None:
    questions = [
        {"key": "size", "text": "尺码", "kind": "choice", "choices": ["M", "L"], "is_required": True},
        {"key": "bikes", "text": "自行车", "kind": "number"},
        {"key": "vegan", "text": "素食", "kind": "yes_no"},
        {"key": "note", "text": "备注"},
    ]
    event = await desk.opened(questions=questions)
    member = await guests.member()
    wrong = {"size": "XL", "bikes": True, "vegan": "yes", "note": 3, "hat": "yes"}
    status, answer = await guests.register(event, member, answers=wrong)
    assert (status, faults(answer)) == (422, {
        "/answers/size": "answer_choice", "/answers/bikes": "answer_number", "/answers/vegan": "answer_yes_no",
        "/answers/note": "answer_text", "/answers/hat": "unknown_question",
    })  # fmt: skip
    assert faults((await guests.register(event, member))[1]) == {"/answers/size": "missing"}
    good = {"size": "L", "bikes": 2, "vegan": False, "note": "靠窗"}
    assert (await guests.register(event, member, answers=good))[1]["answers"] == good


async def test_the_fee_in_points_is_spent_once_and_comes_back(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(fee_points=30, fee_fen=500)
    member = await guests.member(points=100)
    _, made = await guests.register(event, member, *family(2), key="fee")
    await guests.register(event, member, *family(2), key="fee")
    assert (made["fee_points"], made["fee_fen"]) == (60, 1000)
    assert (await desk.shop.wallet(member))[0] == 40
    status, cancelled = await guests.do(event, member, "cancellation")
    assert (status, cancelled["fee_refunded"]) == (200, True)
    assert (await desk.shop.wallet(member))[0] == 100
    assert await disagreeing(dsn) == {}


async def test_who_has_not_the_points_takes_no_seat(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(fee_points=30, capacity=1)
    status, answer = await guests.register(event, await guests.member(points=29))
    assert (status, answer["type"]) == (409, "/problems/insufficient-points")
    assert (await guests.seats(event))["free"] == 1
    _, made = await guests.seated(event, points=30)
    assert (made["status"], made["queue_no"]) == ("registered", 1)


async def test_staff_need_the_members_code_where_points_are_due(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(fee_points=10)
    member = await guests.member(points=100)
    asked = {"member_id": str(member.id)}
    assert (await guests.staff(event, "registrations", **asked))[1]["type"] == "/problems/confirmation-required"
    status, answer = await guests.staff(event, "registrations", **asked, code="000000")
    assert (status, answer["type"]) == (403, "/problems/confirmation-wrong")
    wrong = await shop.pool.fetchval("SELECT max(failures) FROM ledger.confirmation WHERE member_id = $1", member.id)
    assert wrong == 1
    assert (await guests.staff(event, "registrations", **asked, code=await shop.code(member)))[0] == 201


async def test_money_is_noted_once(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(fee_fen=5000)
    _, made = await guests.seated(event)
    path = f"registrations/{made['id']}/payment"
    for reference in ("微信 1", "微信 2"):
        status, paid = await guests.staff(event, path, reference=reference)
        assert (status, paid["payment_reference"]) == (200, "微信 1")
    free = await desk.opened()
    _, made = await guests.seated(free)
    status, answer = await guests.staff(free, f"registrations/{made['id']}/payment", reference="1")
    assert (status, faults(answer)) == (422, {"/reference": "nothing_due"})


async def test_foreign_staff_see_nothing_of_it(guests: Guests, desk: Desk) -> None:
    event = await desk.opened()
    member, made = await guests.seated(event)
    foreign = desk.foreign_director
    for path in ("registrations", "seats", f"registrations/{made['id']}", f"registrations/{made['id']}/why"):
        assert (await desk.shop.get(f"/events/{event['id']}/{path}", foreign))[0] == 404
    for path, body in (
        ("registrations", {"member_id": str(member.id)}), (f"registrations/{made['id']}/cancellation", {}),
        (f"registrations/{made['id']}/promotion", {}), ("check-ins", {"nonce": "a" * 8, "registration_id": made["id"]}),
    ):  # fmt: skip
        assert (await guests.staff(event, path, foreign, **body))[0] == 404
    # and one of another event is not this one's
    other = await desk.opened()
    assert (await guests.staff(other, f"registrations/{made['id']}/cancellation"))[0] == 404


async def test_a_supporting_chapter_serves_headquarters_event(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(desk.hq, dealer_code=None, supporters=["SH001"])
    member, _ = await guests.seated(event)
    listed = (await desk.shop.get(f"/events/{event['id']}/registrations", desk.foreign_director))[1]["items"]
    assert [(one["member_no"], one["name"]) for one in listed] == [(member.member_no, "张伟")]
    # one that does not support it has no part in it
    assert (await desk.shop.get(f"/events/{event['id']}/registrations", desk.director))[0] == 404


async def test_the_list_is_found_by_name_and_by_state(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=2)
    for _ in range(3):
        await guests.seated(event)
    path = f"/events/{event['id']}/registrations"

    async def numbers(**params: object) -> list[int]:
        return [one["queue_no"] for one in (await desk.shop.get(path, desk.director, **params))[1]["items"]]

    assert await numbers() == [1, 2, 3]
    assert await numbers(status="waiting") == [3]
    assert (await numbers(name="张"), await numbers(name="李")) == ([1, 2, 3], [])
    page = (await desk.shop.get(path, desk.director, limit=2))[1]
    assert await numbers(cursor=page["next_cursor"]) == [3]


async def test_a_cancelled_event_gives_back_and_tells_everyone(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(fee_points=10, capacity=1)
    seated, _ = await guests.seated(event, points=10)
    waiting, _ = await guests.seated(event, points=10)
    await desk.done(event, "cancellation", reason="暴雨")
    assert (await desk.shop.wallet(seated))[0] == 10
    for member in (seated, waiting):
        assert await guests.status(event, member) == "cancelled"
        told = (await desk.shop.get("/members/me/event-notices", desk.of(member)))[1]["items"]
        assert [notice["kind"] for notice in told] == ["cancelled"]
    assert await disagreeing(dsn) == {}


async def test_members_do_not_cancel_once_it_has_begun(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened()
    member, made = await guests.seated(event)
    await shop.pool.execute("UPDATE club_event SET starts_at = now() - interval '9 years' WHERE id = $1", event["id"])
    assert (await guests.do(event, member, "cancellation"))[1]["type"] == "/problems/event-begun"
    assert (await guests.staff(event, f"registrations/{made['id']}/cancellation"))[0] == 200


async def test_who_has_left_the_club_does_not_register(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened()
    member = await guests.member()
    await shop.pool.execute("UPDATE member SET status = 'left' WHERE id = $1", member.id)
    status, answer = await guests.staff(event, "registrations", member_id=str(member.id))
    assert (status, answer["type"]) == (409, "/problems/wallet-closed")
