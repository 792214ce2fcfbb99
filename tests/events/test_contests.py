"""Contests and draws: results written once, prizes from what was granted, a draw that anybody can check."""

from hashlib import sha256
from typing import Any

from app.events.contest_rules import drawn
from tests.events.after import After, line_of
from tests.events.desk import Body, faults, line
from tests.events.guests import disagreeing
from tests.shop import Answer, Person

POINTS = [line("hq", 300, "points")]


async def contest(after: After, **fields: Any) -> tuple[Body, list[Person]]:
    """A contest that took place, with three members who have a seat."""
    event = await after.desk.opened(**{"kind": "contest", "lines": POINTS, **fields})
    members = [(await after.guests.seated(event))[0] for _ in range(3)]
    await after.held(event)
    return event, members


async def results(after: After, event: Body, *rows: Body, token: str = "") -> Answer:
    return await after.desk.do(event, "results", token, results=list(rows))


async def test_results_are_written_and_prizes_posted_once(after: After, dsn: str) -> None:
    event, (first, second, third) = await contest(after)
    prize = {"points": 200, "line_id": str(line_of(event, "points")), "prize": "一等奖"}
    rows = [
        {"member_id": str(second.id), "rank": 2, "prize": "保温杯"},
        {"member_id": str(first.id), "rank": 1, **prize},
    ]
    status, given = await results(after, event, *rows)
    assert (status, [one["member_id"] for one in given["items"]]) == (201, [str(first.id), str(second.id)])
    assert (await after.desk.shop.wallet(first))[0] == 200
    again = await results(after, event, *rows)
    assert (again[0], again[1]["type"]) == (409, "/problems/results-given")
    assert (await after.desk.shop.wallet(first))[0] == 200
    assert (await after.get(event, "results"))[1] == given
    own = await after.desk.shop.get(f"/members/me/events/{event['id']}/result", after.desk.of(first))
    assert (own[0], own[1]["rank"], own[1]["points"]) == (200, 1, 200)
    assert (await after.desk.shop.get(f"/members/me/events/{event['id']}/result", after.desk.of(third)))[0] == 404
    told = (await after.desk.shop.get("/members/me/event-notices", after.desk.of(second)))[1]["items"]
    assert told[0]["kind"] == "won"
    assert await disagreeing(dsn) == {}


async def test_what_a_contest_refuses(after: After) -> None:
    event, (first, second, _) = await contest(after)
    points_line = str(line_of(event, "points"))
    outsider = await after.guests.member()
    row = {"member_id": str(first.id), "rank": 1}
    for rows, fault in (
        ([row, row], {"/results/1/member_id": "named_twice"}),
        ([row | {"member_id": str(outsider.id)}], {"/results/0/member_id": "has_no_seat"}),
        ([row | {"points": 5}], {"/results/0": "prize_line"}),
        ([row | {"points": 5, "line_id": event["id"]}], {"": "unknown_line"}),
    ):
        status, answer = await results(after, event, *rows)
        assert (status, faults(answer)) == (422, fault)
    many = [row | {"points": 200, "line_id": points_line}, {
        "member_id": str(second.id), "rank": 2, "points": 101, "line_id": points_line,
    }]  # fmt: skip
    status, answer = await results(after, event, *many)
    assert (status, answer["type"], answer["needed"], answer["granted"]) == (409, "/problems/prize-budget", 301, 300)
    assert (await after.desk.shop.wallet(first))[0] == 0
    assert (await results(after, event, row, token=after.desk.foreign_director))[0] == 404
    status, answer = await results(after, await after.desk.opened(kind="contest"), row)
    assert (status, answer["type"]) == (409, "/problems/wrong-status")
    other, (member, *_) = await contest(after, kind="sports")
    status, answer = await results(after, other, {"member_id": str(member.id), "rank": 1})
    assert (status, answer["type"]) == (409, "/problems/wrong-event-kind")


# --- draws ---


async def test_a_draw_is_committed_to_and_can_be_recomputed(after: After, dsn: str) -> None:
    desk = after.desk
    event = await desk.opened(kind="draw", lines=POINTS)
    prizes = [{"prize": "车载冰箱"}, {"points": 100, "line_id": str(line_of(event, "points")), "quantity": 2}]
    status, prepared = await desk.do(event, "draw", prizes=prizes, entrants="registered")
    assert (status, prepared["seed"], prepared["entries"]) == (201, None, None)
    again = await desk.do(event, "draw", prizes=prizes)
    assert (again[0], again[1]["type"]) == (409, "/problems/draw-prepared")
    parties = [await after.guests.seated(event) for _ in range(5)]
    status, early = await desk.do(event, "draw/drawing", public_value="7 12 19")
    assert (status, early["type"]) == (409, "/problems/wrong-status")
    await after.held(event)

    status, result = await desk.do(event, "draw/drawing", public_value="7 12 19")
    assert (status, result["public_value"]) == (200, "7 12 19")
    seed = bytes.fromhex(result["seed"])
    assert sha256(seed).hexdigest() == prepared["commitment"] == result["commitment"]
    entries = [made["id"] for _, made in parties]
    assert result["entries"] == drawn(seed, "7 12 19", entries)
    assert sorted(result["entries"]) == sorted(entries)
    whose = {made["id"]: str(member.id) for member, made in parties}
    won = (await after.get(event, "results"))[1]["items"]
    assert [one["member_id"] for one in won] == [whose[entry] for entry in result["entries"][:3]]
    assert [(one["prize"], one["points"]) for one in won] == [("车载冰箱", 0), (None, 100), (None, 100)]
    # everybody sees the same
    assert (await desk.shop.get(f"/members/me/events/{event['id']}/draw", desk.of(parties[0][0])))[1] == result
    status, answer = await desk.do(event, "draw/drawing", public_value="1 2 3")
    assert (status, answer["type"]) == (409, "/problems/already-drawn")
    assert await disagreeing(dsn) == {}


def test_neither_the_seed_nor_the_value_alone_gives_the_order() -> None:
    entries, seed = [str(number) for number in range(50)], bytes(32)
    orders = {tuple(drawn(seed, str(value), entries)) for value in range(20)}
    orders |= {tuple(drawn(bytes([number]) * 32, "0", entries)) for number in range(1, 20)}
    assert len(orders) == 39
    assert drawn(seed, "0", entries) == drawn(seed, "0", reversed(entries))


async def test_verify_tells_a_draw_that_was_tampered_with(after: After, dsn: str) -> None:
    desk = after.desk
    event = await desk.opened(kind="draw")
    assert (await desk.do(event, "draw", prizes=[{"prize": "茶"}], entrants="registered"))[0] == 201
    for _ in range(4):
        await after.guests.seated(event)
    await after.held(event)
    assert (await desk.do(event, "draw/drawing", public_value="x"))[0] == 200
    async with desk.shop.api.db.transaction() as connection:
        await connection.execute("SELECT set_config('club.reach', 'all', true)")
        swapped = (
            "UPDATE event_draw SET entries = (SELECT jsonb_agg(e ORDER BY e DESC) FROM jsonb_array_elements(entries) e)"
        )
        where = " || jsonb_build_array('x')"
        await connection.execute(f"{swapped}{where} WHERE event_id = $1", event["id"])
    assert list(await disagreeing(dsn)) == ["events-draws"]
    async with desk.shop.api.db.transaction() as connection:
        await connection.execute("SELECT set_config('club.reach', 'all', true)")
        await connection.execute(
            "UPDATE event_draw SET entries = NULL, drawn_at = NULL, public_value = NULL WHERE event_id = $1",
            event["id"],
        )


async def test_nobody_came_to_the_draw(after: After) -> None:
    desk = after.desk
    event = await desk.opened(kind="draw")
    assert (await desk.do(event, "draw", prizes=[{"prize": "茶"}]))[0] == 201
    await after.guests.seated(event)
    await after.held(event)
    status, answer = await desk.do(event, "draw/drawing", public_value="x")
    assert (status, answer["type"]) == (409, "/problems/nobody-to-draw")


async def test_what_a_draw_refuses(after: After) -> None:
    desk = after.desk
    event = await desk.opened(kind="draw", lines=POINTS)
    line_id = str(line_of(event, "points"))
    wrong: list[tuple[list[Body], Body]] = [([{}], {"/prizes/0": "prize_empty"}), ([], {"/prizes": "value_invalid"})]
    for prizes, fault in wrong:
        status, answer = await desk.do(event, "draw", prizes=prizes)
        assert (status, faults(answer)) == (422, fault)
    status, answer = await desk.do(event, "draw", prizes=[{"points": 101, "line_id": line_id, "quantity": 3}])
    assert (status, answer["type"], answer["needed"]) == (409, "/problems/prize-budget", 303)
    assert (await desk.do(event, "draw", desk.foreign_director, prizes=[{"prize": "茶"}]))[0] == 404
    status, answer = await desk.do(await desk.opened(), "draw", prizes=[{"prize": "茶"}])
    assert (status, answer["type"]) == (409, "/problems/wrong-event-kind")
    assert (await after.get(event, "draw"))[0] == 404
