"""Deliveries that tests take in."""

from typing import Any

from app.core.tabular import Row
from app.visits.deliveries import import_deliveries
from app.visits.deliveries_rules import COLUMNS
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Shop

_serial = iter(range(600_001, 700_000))
Body = dict[str, Any]


def delivery(**fields: Any) -> Body:
    """A car that BJ001 delivered to an individual whom nobody knows."""
    serial = next(_serial)
    return {
        "dealer_code": "BJ001", "vin": car(serial), "delivered_on": "2026-11-20", "owner_kind": "individual",
        "owner_name": "王芳", "phone": f"138{serial:08d}", "consultant": "li.bj001", "model": "Sedan",
    } | fields  # fmt: skip


async def deliver(shop: Shop, **fields: Any) -> Body:
    """A new delivery, as headquarters reads it."""
    status, read = await shop.post("/deliveries", delivery(**fields), shop.hq)
    assert status == 201, read
    return dict(read)


async def read(shop: Shop, made: Body, token: str = "") -> Body:
    status, found = await shop.get(f"/deliveries/{made['id']}", token or shop.hq)
    assert status == 200, found
    return dict(found)


async def enrol(shop: Shop, body: Body) -> Body:
    person = {"name": body["owner_name"], "phone": body["phone"], "vin": body["vin"], "source": "delivery"}
    status, made = await shop.post("/members", person | {"dealer_code": "BJ001"}, shop.hq)
    assert status == 201, made
    return dict(made)


def line(made: Body) -> str:
    return ",".join(str(made[name] or "") for name in COLUMNS)


def as_csv(*made: Body) -> bytes:
    return "\n".join([",".join(COLUMNS), *map(line, made)]).encode()


async def load(shop: Shop, made: list[Body], **options: Any) -> tuple[tuple[int, ...], list[tuple[int, str]]]:
    """Counts (read, posted, known, refused), and each refused line with its reason."""
    rows = [Row(number, [str(one[name] or "") for name in COLUMNS]) for number, one in enumerate(made, 2)]
    report, rejections = await import_deliveries(shop.api.db, rows, now=NOW, **options)
    return tuple(report.model_dump().values()), [(refused.line, refused.reason) for refused in rejections]
