"""What of a wallet a filter can ask for: as the last posting or the night's sweep left it."""

from collections.abc import Callable

from sqlalchemy import BigInteger, ColumnElement, Date, Uuid, column, func, select, table

from app.core.actors import Right
from app.core.filters import Field, Kind, Scope, needing

_WALLET = table(
    "member_balance",
    column("member_id", Uuid()),
    column("available", BigInteger()),
    column("owed", BigInteger()),
    schema="ledger",
)
_LOT = table(
    "lot",
    column("member_id", Uuid()),
    column("available", BigInteger()),
    column("expires_on", Date()),
    schema="ledger",
)


def _in_the_wallet(column_name: str) -> Callable[[Scope], ColumnElement[int]]:
    # one by one: nothing else is indexed, so the first page would wait for all wallets
    wallet = select(_WALLET.c[column_name])
    return lambda scope: wallet.where(_WALLET.c.member_id == scope.id).scalar_subquery()


def _next_expiry(scope: Scope) -> ColumnElement[object]:
    lots = select(func.min(_LOT.c.expires_on)).where(_LOT.c.member_id == scope.id, _LOT.c.available > 0)
    return lots.where(_LOT.c.expires_on >= scope.today).scalar_subquery()


_reader = needing(Right.POINTS_READ)

FIELDS = (
    Field("points.available", Kind.NUMBER, _in_the_wallet("available"), visible=_reader),
    Field("points.owed", Kind.NUMBER, _in_the_wallet("owed"), visible=_reader),
    Field("points.next_expiry", Kind.DATE, _next_expiry, visible=_reader),
)
