"""All that is kept on a member, for the member: as data, and as a page to read."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from html import escape
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Actor
from app.core.catalogue import Language, text, texts
from app.core.clock import CHINA, china_date
from app.core.db import raw, unrestricted
from app.members import consent_queries, places, profiles, transfer_queries
from app.members import queries as members
from app.members.models import Application, Birth, Member
from app.members.vehicle_queries import claims_by
from app.members.visibility import visible_member
from app.points import queries as points
from app.privacy import queries
from app.privacy import schemas as own
from app.privacy.holdings import holdings
from app.privacy.schemas import OwnData

ALL = 1_000_000
"""More rows than a member ever has."""

Part = TypeVar("Part")


async def own_data(session: AsyncSession, actor: Actor, member_id: UUID, *, now: datetime) -> OwnData:
    """All that is kept on a member, and on those for whom it goes on since they were merged.

    Raises:
        NotFound: there is no such member, or it is not the actor's to see.
    """
    member = await visible_member(session, actor, member_id)
    # it is all the member's own, whichever chapter it lies with
    await unrestricted(session)
    all_of_them = [member, *await members.merged_into(session, member.id)]

    async def each(read: Callable[[AsyncSession, Member], Awaitable[list[Part]]]) -> list[Part]:
        return [part for one in all_of_them for part in await read(session, one)]

    return OwnData(
        exported_at=now,
        profile=await _profile(session, member),
        points=await _points(session, member, now),
        facts=[own.OwnFact(name=name, value=value) for name, value in await profiles.facts(session, member.id)],
        household=[own.OwnPerson(**dict(person)) for person in await profiles.household(session, member.id)],
        notes=[own.OwnNote(**dict(note)) for note in await profiles.all_notes(session, member.id)],
        vehicles=[own.OwnVehicle(**dict(row)) for row in await queries.stretches(session, member.id)],
        repair_orders=await each(_orders),
        postings=await each(_postings),
        consents=await each(_answers),
        claims=await each(_claims),
        provisions=await each(_provisions),
        membership=await each(_steps),
        chapters=await each(_places),
        transfers=await each(_transfers),
        applications=await each(_applications),
        more={
            holding.name: [row for one in all_of_them for row in await holding.read(session, one.id)]
            for holding in holdings()
        },
    )


async def _profile(session: AsyncSession, member: Member) -> own.OwnProfile:
    birth = await session.get(Birth, member.id)
    return own.OwnProfile(
        **dict(member) | {"chapter": member.dealer_code},
        born_on=birth.born_on if birth else None,
        guardian=birth.guardian_name if birth else None,
    )


async def _points(session: AsyncSession, member: Member, now: datetime) -> own.OwnPoints | None:
    wallet = await points.wallet(await raw(session), member.id, china_date(now))
    return own.OwnPoints(**wallet._asdict()) if wallet is not None else None


async def _orders(session: AsyncSession, member: Member) -> list[own.OwnOrder]:
    return [own.OwnOrder(**row) for row in await queries.repair_orders(await raw(session), member.id)]


async def _postings(session: AsyncSession, member: Member) -> list[own.OwnPosting]:
    found = await points.history(await raw(session), member.id, before=None, limit=ALL)
    return [
        own.OwnPosting(
            posted_at=entry.posted_at, kind=entry.kind, points=entry.points, place=entry.place, cause=entry.cause,
            reason=entry.reason, available=entry.available,
        )
        for entry in found
    ]  # fmt: skip


async def _answers(session: AsyncSession, member: Member) -> list[own.OwnAnswer]:
    return [
        own.OwnAnswer(**dict(answer) | {"partner": answer.partner_name})
        for answer in await consent_queries.all_answers(session, member.id)
    ]


async def _claims(session: AsyncSession, member: Member) -> list[own.OwnClaim]:
    return [own.OwnClaim(**dict(row)) for row in await claims_by(session, member.id)]


async def _steps(session: AsyncSession, member: Member) -> list[own.OwnStep]:
    found = await queries.steps(session, member.id)
    return [own.OwnStep(at=step.at, status=step.to_status, reason=step.reason) for step in found]


async def _places(session: AsyncSession, member: Member) -> list[own.OwnPlace]:
    found = await places.history(session, member.id)
    return [own.OwnPlace(**dict(place) | {"chapter": place.dealer_code}) for place in found]


async def _transfers(session: AsyncSession, member: Member) -> list[own.OwnTransfer]:
    found = await transfer_queries.of_member(session, member.id)
    return [own.OwnTransfer(**dict(transfer) | {"to_chapter": transfer.to_dealer_code}) for transfer in found]


async def _applications(session: AsyncSession, member: Member) -> list[own.OwnApplication]:
    return [
        own.OwnApplication(**dict(row) | {"chapter": row.dealer_code, "consents": _said(row)})
        for row in await queries.applications(session, member)
    ]


def _said(application: Application) -> list[str]:
    return [f"{purpose}: {answer['decision']}" for purpose, answer in application.consents.items()]


async def _provisions(session: AsyncSession, member: Member) -> list[own.OwnProvision]:
    found = await queries.provisions(session, member.id, after=None, limit=ALL)
    return [own.OwnProvision(**dict(provision) | {"partner": provision.partner_name}) for provision in found]


# --- the page ---

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left}"
    "h2{margin-top:2rem}"
)


def page(data: OwnData, language: Language) -> str:
    """The data as an HTML page that needs nothing from anywhere."""
    title = escape(text(language, "export.title", {}))
    parts = {name: part for name, part in data if name != "more"} | data.more
    sections = "".join(_section(name, part, language) for name, part in parts.items())
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{sections}</body></html>\n"
    )


def _section(name: str, value: BaseModel | Sequence[BaseModel] | datetime | None, language: Language) -> str:
    head = _label(name, language)
    if isinstance(value, datetime):
        return f"<p>{head}: {_shown(value, language)}</p>"
    if isinstance(value, BaseModel):
        rows = "".join(
            f"<tr><th>{_label(field, language)}</th><td>{_shown(content, language)}</td></tr>"
            for field, content in value
        )
        return f"<h2>{head}</h2><table>{rows}</table>"
    return f"<h2>{head}</h2>{_table(value or [], language)}"


def _table(rows: Sequence[BaseModel], language: Language) -> str:
    if not rows:
        return f"<p>{_label('nothing', language)}</p>"
    heads = "".join(f"<th>{_label(field, language)}</th>" for field in type(rows[0]).model_fields)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_shown(content, language)}</td>" for _, content in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _label(name: str, language: Language) -> str:
    return escape(text(language, f"export.{name}", {}))


def _shown(value: object, language: Language) -> str:
    if value is None:
        return "—"
    if isinstance(value, datetime):
        return f"{value.astimezone(CHINA):%Y-%m-%d %H:%M}"
    if isinstance(value, list):
        return ", ".join(_shown(part, language) for part in value)
    # a word of ours is said in the reader's language, everything else as it is
    return escape(texts(language).get(f"export.is_{value}", str(value)))
