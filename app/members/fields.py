"""What can be asked of members: the fields of the filter language. Other domains register theirs through wiring."""

from collections.abc import Awaitable, Callable, Iterable

from sqlalchemy import ColumnElement, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.util import find_tables
from sqlmodel import col

from app.chapters.fields import code, region_of
from app.core.filters import Field, Fields, Kind, Scope
from app.members.models import Member, Ownership, Vehicle
from app.members.plates import parse_plate
from app.members.profile_fields import FIELDS as PROFILE_FIELDS
from app.members.profile_fields import attributes
from app.members.rules import MemberStatus, Source

Provider = Callable[[AsyncSession], Awaitable[Iterable[Field]]]
"""Fields that are data, such as the attributes headquarters defines; asked for at each reading."""

_FIELDS: dict[str, Field] = {}
_PROVIDERS: list[Provider] = []


def register(*fields: Field) -> None:
    """Make fields known; a name is taken once."""
    for field in fields:
        assert field.name not in _FIELDS, f"there is a field {field.name} already"
        _FIELDS[field.name] = field


def register_provider(provider: Provider) -> None:
    """Make fields known that are read from the database."""
    _PROVIDERS.append(provider)


async def fields(session: AsyncSession) -> Fields:
    """Every field, by name."""
    provided = [field for provider in _PROVIDERS for field in await provider(session)]
    return _FIELDS | {field.name: field for field in provided}


def of_a_car(scope: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """One of the cars the member owns now is such; for fields over `Ownership` and `Vehicle`."""
    owned = select(col(Ownership.member_id)).where(col(Ownership.until).is_(None), condition)
    if inspect(Vehicle).local_table in find_tables(condition, check_columns=True):
        owned = owned.join(Vehicle, col(Vehicle.vin) == col(Ownership.vin))
    return scope.id.in_(owned)


def _cars(scope: Scope) -> ColumnElement[int]:
    owned = select(func.count()).select_from(Ownership)
    return owned.where(col(Ownership.member_id) == scope.id, col(Ownership.until).is_(None)).scalar_subquery()


def _plate(given: str) -> str:
    return parse_plate(given) or code(given)


def _lower(given: str) -> str:
    return given.strip().lower()


register(
    Field("name", Kind.TEXT, lambda _: col(Member.name)),
    Field("initials", Kind.TEXT, lambda _: col(Member.name_initials), clean=_lower),
    Field("member_no", Kind.TEXT, lambda _: col(Member.member_no)),
    Field("status", Kind.CHOICE, lambda _: col(Member.status), choices=tuple(MemberStatus)),
    Field("source", Kind.CHOICE, lambda _: col(Member.source), choices=tuple(Source)),
    Field("joined_on", Kind.DATE, lambda _: col(Member.joined_on)),
    Field("chapter", Kind.TEXT, lambda _: col(Member.dealer_code), clean=code),
    region_of(col(Member.dealer_code)),
    Field("vehicle.vin", Kind.TEXT, lambda _: col(Ownership.vin), of_a_car, clean=code),
    Field("vehicle.owned_since", Kind.DATE, lambda _: col(Ownership.since), of_a_car),
    Field("vehicle.model", Kind.TEXT, lambda _: col(Ownership.model), of_a_car),
    Field("vehicle.plate", Kind.TEXT, lambda _: col(Ownership.plate), of_a_car, clean=_plate, only_whole=True),
    Field("vehicle.purchased_on", Kind.DATE, lambda _: col(Ownership.purchased_on), of_a_car),
    Field("vehicle.warranty_ends_on", Kind.DATE, lambda _: col(Vehicle.warranty_ends_on), of_a_car),
    Field("vehicle.insurance_ends_on", Kind.DATE, lambda _: col(Ownership.insurance_ends_on), of_a_car),
    Field("vehicle.count", Kind.NUMBER, _cars),
    *PROFILE_FIELDS,
)
register_provider(attributes)
