"""What of a profile a filter can ask for: value class, circle, and the attributes that headquarters defines."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Text,
    and_,
    case,
    cast,
    column,
    extract,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.actors import Actor, Right, Role
from app.core.catalogue import Language
from app.core.filters import Field, Kind, Scope, needing
from app.members.attributes import in_use
from app.members.consent_queries import consents
from app.members.consent_rules import Purpose
from app.members.models import Birth
from app.members.profile_models import Attribute, MemberAttribute, MemberProfile
from app.members.profile_rules import AttributeKind, Circle, ContactChannel, is_among

_KINDS: dict[AttributeKind, tuple[Kind, Any]] = {
    AttributeKind.TEXT: (Kind.TEXT, col(MemberAttribute.value)),
    AttributeKind.NUMBER: (Kind.NUMBER, col(MemberAttribute.number)),
    AttributeKind.DATE: (Kind.DATE, col(MemberAttribute.day)),
    AttributeKind.BOOL: (Kind.BOOL, col(MemberAttribute.value) == "true"),
    AttributeKind.CHOICE: (Kind.CHOICE, col(MemberAttribute.value)),
    AttributeKind.CHOICES: (Kind.CHOICE, col(MemberAttribute.value)),
}
"""Of each kind of attribute, what kind of field it is and where its value stands."""


def _of_the_profile(scope: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    # how the club sees a member is no reason to choose it before it has agreed to that (PIPL, article 24)
    of_such = scope.id.in_(select(col(MemberProfile.member_id)).where(condition))
    return and_(of_such, consents(scope.id, Purpose.PROFILING))


_LIKED = func.unnest(col(MemberProfile.channels)).table_valued(column("channel", Text), name="liked").render_derived()


def _of_the_liked(scope: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return scope.id.in_(select(col(MemberProfile.member_id)).join(_LIKED, true()).where(condition))


def _staff(actor: Actor) -> bool:
    return actor.role is not Role.MEMBER


def _of_the_birth(scope: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return scope.id.in_(select(col(Birth.member_id)).where(condition))


def _next_birthday(scope: Scope) -> ColumnElement[Any]:
    """From today on; who was born on 29 February has it on the 28th where there is none."""

    def of(year: int) -> ColumnElement[Any]:
        years = literal(year) - cast(extract("year", col(Birth.born_on)), Integer)
        return cast(col(Birth.born_on) + func.make_interval(years), Date)

    year = scope.today.year
    return case((of(year) >= scope.today, of(year)), else_=of(year + 1))


FIELDS = (
    Field(
        "circle", Kind.CHOICE, lambda _: col(MemberProfile.circle), _of_the_profile, visible=_staff,
        choices=tuple(Circle),
    ),
    Field(
        "value_class", Kind.TEXT, lambda _: col(MemberProfile.value_class), _of_the_profile, visible=_staff,
        clean=lambda given: given.strip().upper(),
    ),
    # the day alone: nobody is shown in which year
    Field("birthday.next_on", Kind.DATE, _next_birthday, _of_the_birth, visible=needing(Right.MEMBERS_CARE)),
    Field(
        "contact.channel", Kind.CHOICE, lambda _: _LIKED.c.channel, _of_the_liked, visible=_staff,
        choices=tuple(ContactChannel),
    ),
)  # fmt: skip


async def attributes(session: AsyncSession) -> Iterable[Field]:
    """The attributes in use as fields; of several choices one may be the one asked for."""
    return [_field(attribute) for attribute in await in_use(session)]


def _field(attribute: Attribute) -> Field:
    key, audience = attribute.key, attribute.seen_by
    kind, stored = _KINDS[AttributeKind(attribute.kind)]

    def within(scope: Scope, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        values = select(col(MemberAttribute.member_id)).where(col(MemberAttribute.attribute_key) == key, condition)
        return scope.id.in_(values)

    def value(_: Scope) -> ColumnElement[Any]:
        found: ColumnElement[Any] = stored
        return found

    return Field(
        f"attribute.{key}", kind, value, within,
        visible=lambda actor: is_among(actor, audience),
        choices=tuple(choice["value"] for choice in attribute.choices),
        labels={Language.ZH: attribute.label_zh, Language.EN: attribute.label_en},
        choice_labels={
            choice["value"]: {Language.ZH: choice["zh"], Language.EN: choice["en"]} for choice in attribute.choices
        },
    )  # fmt: skip
