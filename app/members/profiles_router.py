"""Profiles, households, notes, timelines and completeness over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.core.actors import HEADQUARTERS, Actor, Right, Role
from app.core.catalogue import Language
from app.core.http import (
    GUARDED,
    Config,
    Cursor,
    IfMatch,
    Limit,
    Now,
    Once,
    Requires,
    Session,
    Speaks,
    documented,
    tagged,
    version_of,
)
from app.core.paging import Page, decode_cursor, next_cursor
from app.core.problems import InvalidPayload, KeyConflict, NotFound, PreconditionFailed
from app.members import completeness, profiles
from app.members.problems import HouseholdFull, ProfileFieldClosed
from app.members.profile_models import HouseholdPerson, MemberProfile, Note
from app.members.profile_schemas import (
    ChapterCompleteness,
    CompletenessRead,
    Contact,
    HappeningRead,
    HouseholdCreate,
    HouseholdRead,
    HouseholdUpdate,
    NoteCreate,
    NoteRead,
    NoteUpdate,
    ProfileRead,
    ProfileUpdate,
)
from app.members.profiles import Known, NotePosition
from app.members.timeline import Happening, Position, timeline
from app.members.timeline_words import told
from app.members.visibility import visible_member

router = APIRouter(tags=["members"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ))]
ReaderOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_READ, Right.OWN_CARD))]
Carer = Annotated[Actor, Depends(Requires(Right.MEMBERS_CARE))]
CarerOrSelf = Annotated[Actor, Depends(Requires(Right.MEMBERS_CARE, Right.OWN_CARD))]


# --- profiles ---


@router.get("/members/{member_id}/profile", responses=documented(NotFound))
async def profiles_get(member_id: UUID, actor: ReaderOrSelf, session: Session, response: Response) -> ProfileRead:
    """What is known of a member beside name, phone and cars, and how complete that is."""
    return tagged(response, _read(actor, await profiles.profile(session, actor, member_id)))


@router.patch(
    "/members/{member_id}/profile", responses=documented(NotFound, PreconditionFailed, ProfileFieldClosed)
)  # fmt: skip
async def profiles_update(
    member_id: UUID, body: ProfileUpdate, if_match: IfMatch, actor: CarerOrSelf, session: Session, now: Now,
    settings: Config, response: Response,
) -> ProfileRead:  # fmt: skip
    """Change what is known of a member; members edit what is theirs to edit."""
    changed = await profiles.update(
        session, actor, member_id, body,
        version=version_of(if_match), value_classes=settings.value_classes, now=now,
    )  # fmt: skip
    return tagged(response, _read(actor, changed))


def _read(actor: Actor, known: Known) -> ProfileRead:
    profile = known.profile
    is_member = actor.role is Role.MEMBER
    return ProfileRead(
        member_id=profile.member_id,
        value_class=None if is_member else profile.value_class,
        circle=None if is_member else profile.circle,
        contact=_contact(profile),
        attributes=known.attributes,
        household=[_person(person) for person in known.household],
        completeness=CompletenessRead(**known.completeness._asdict()),
        version=profile.version,
    )


def _contact(profile: MemberProfile) -> Contact | None:
    return Contact.model_validate(dict(profile), extra="ignore") if profile.channels is not None else None


@router.post(
    "/members/{member_id}/household", status_code=201, response_model=HouseholdRead,
    responses=documented(NotFound, HouseholdFull, KeyConflict),
)  # fmt: skip
async def household_add(
    member_id: UUID, body: HouseholdCreate, actor: CarerOrSelf, session: Session, now: Now, once: Once
) -> Response:
    """Note somebody of the member's household."""

    async def add() -> HouseholdRead:
        return _person(await profiles.add_person(session, actor, member_id, body, now=now))

    return await once(body, add)


@router.get("/members/{member_id}/household/{person_id}", responses=documented(NotFound))
async def household_get(
    member_id: UUID, person_id: UUID, actor: ReaderOrSelf, session: Session, response: Response
) -> HouseholdRead:  # fmt: skip
    """Somebody of the member's household."""
    return tagged(response, _person(await profiles.person(session, actor, member_id, person_id)))


@router.patch("/members/{member_id}/household/{person_id}", responses=documented(NotFound, PreconditionFailed))
async def household_update(
    member_id: UUID, person_id: UUID, body: HouseholdUpdate, if_match: IfMatch, actor: CarerOrSelf, session: Session,
    now: Now, response: Response,
) -> HouseholdRead:  # fmt: skip
    """Change what is known of somebody of the household."""
    version = version_of(if_match)
    changed = await profiles.update_person(session, actor, member_id, person_id, body, version=version, now=now)
    return tagged(response, _person(changed))


def _person(person: HouseholdPerson) -> HouseholdRead:
    return HouseholdRead.model_validate(person, from_attributes=True)


@router.delete("/members/{member_id}/household/{person_id}", status_code=204, responses=documented(NotFound))
async def household_remove(member_id: UUID, person_id: UUID, actor: CarerOrSelf, session: Session) -> None:
    """Take somebody out of the member's household."""
    await profiles.remove_person(session, actor, member_id, person_id)


@router.get("/completeness")
async def completeness_list(
    actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[ChapterCompleteness]:
    """How complete the profiles of each chapter's active members are, by code; headquarters' own roll among them."""
    after = str(decode_cursor(cursor, str)[0]) if cursor else ""
    found = await completeness.of_chapters(session, actor, after=after, limit=limit + 1)
    items = [ChapterCompleteness(**chapter._asdict()) for chapter in found[:limit]]
    return Page[ChapterCompleteness](
        items=items, next_cursor=next_cursor(found, limit, lambda chapter: (chapter.dealer_code or HEADQUARTERS,))
    )


# --- notes ---


@router.get("/members/{member_id}/notes", responses=documented(NotFound))
async def notes_list(
    member_id: UUID, actor: Reader, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[NoteRead]:
    """What those who care for the member wrote down, the pinned first, newest first."""
    found = await profiles.notes(session, actor, member_id, after=_note_position(cursor), limit=limit + 1)
    items = [_note(note) for note in found[:limit]]
    return Page[NoteRead](
        items=items, next_cursor=next_cursor(found, limit, lambda note: (int(note.is_pinned), str(note.id)))
    )


def _note_position(cursor: str | None) -> NotePosition | None:
    if cursor is None:
        return None
    pinned, note_id = decode_cursor(cursor, int, str)
    try:
        return NotePosition(bool(pinned), UUID(str(note_id)))
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None


@router.post(
    "/members/{member_id}/notes", status_code=201, response_model=NoteRead,
    responses=documented(NotFound, KeyConflict),
)  # fmt: skip
async def notes_write(
    member_id: UUID, body: NoteCreate, actor: Carer, session: Session, now: Now, once: Once
) -> Response:
    """Write something down about the member; the member does not see it here."""

    async def write() -> NoteRead:
        return _note(await profiles.write_note(session, actor, member_id, body, now=now))

    return await once(body, write)


@router.get("/members/{member_id}/notes/{note_id}", responses=documented(NotFound))
async def notes_get(
    member_id: UUID, note_id: UUID, actor: Reader, session: Session, response: Response
) -> NoteRead:  # fmt: skip
    """One note."""
    return tagged(response, _note(await profiles.note(session, actor, member_id, note_id)))


@router.patch("/members/{member_id}/notes/{note_id}", responses=documented(NotFound, PreconditionFailed))
async def notes_update(
    member_id: UUID, note_id: UUID, body: NoteUpdate, if_match: IfMatch, actor: Carer, session: Session,
    response: Response,
) -> NoteRead:  # fmt: skip
    """Pin a note or unpin it; its writer may reword it."""
    changed = await profiles.update_note(session, actor, member_id, note_id, body, version=version_of(if_match))
    return tagged(response, _note(changed))


@router.delete("/members/{member_id}/notes/{note_id}", status_code=204, responses=documented(NotFound))
async def notes_delete(member_id: UUID, note_id: UUID, actor: Carer, session: Session) -> None:
    """Remove a note: its writer, or who decides about members."""
    await profiles.delete_note(session, actor, member_id, note_id)


def _note(note: Note) -> NoteRead:
    return NoteRead.model_validate(note, from_attributes=True)


# --- timeline ---


@router.get("/members/{member_id}/timeline", responses=documented(NotFound))
async def timeline_read(
    member_id: UUID, actor: ReaderOrSelf, session: Session, language: Speaks,
    source: Annotated[str | None, Query(max_length=40, description="one source's alone, such as visit")] = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> Page[HappeningRead]:  # fmt: skip
    """Everything that happened to a member, as far as one may read it, newest first."""
    before = _position(cursor)
    await visible_member(session, actor, member_id)
    found = await timeline(session, actor, member_id, only=source, before=before, limit=limit + 1)
    items = [_happening(one, language) for one in found[:limit]]
    return Page[HappeningRead](
        items=items, next_cursor=next_cursor(found, limit, lambda one: (one.at.isoformat(), one.source, one.id))
    )


def _position(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    at, source, happening_id = map(str, decode_cursor(cursor, str, str, str))
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid") from None
    if moment.tzinfo is None:
        raise InvalidPayload.at("/query/cursor", "cursor_invalid")
    return Position(moment, source, happening_id)


def _happening(one: Happening, language: Language) -> HappeningRead:
    return HappeningRead(**one._asdict(), text=told(one, language))
