"""Invitations and surveys over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.core.actors import Actor, Right
from app.core.filters import FieldNotVisible
from app.core.http import GUARDED, Config, Cursor, Limit, Now, Requires, Session, documented
from app.core.paging import Page, id_after, paged
from app.core.problems import NotFound, WrongStatus
from app.events import invitations, surveys
from app.events.gathering_models import Invitation
from app.events.gathering_problems import SurveyClosed
from app.events.gathering_rules import Answer
from app.events.gathering_schemas import (
    AnswerGive,
    Chosen,
    InvitationCreate,
    InvitationRead,
    InvitationSummary,
    OwnInvitation,
    SurveyFigures,
    SurveyGive,
    SurveyRead,
)
from app.events.models import ClubEvent
from app.events.schemas import EventSummary

router = APIRouter(tags=["events"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.EVENTS_READ))]
Inviter = Annotated[Actor, Depends(Requires(Right.EVENTS_WRITE, also=Right.MEMBERS_READ))]
Member = Annotated[Actor, Depends(Requires(Right.OWN_CARD))]

INVITING = documented(NotFound, WrongStatus, FieldNotVisible)


@router.post("/events/{event_id}/invitations/preview", responses=INVITING)
async def event_invitations_preview(
    event_id: UUID, body: InvitationCreate, actor: Inviter, session: Session, now: Now, settings: Config
) -> Chosen:
    """Whom an invitation would reach, and how many have not agreed to be written to."""
    return await invitations.preview(session, actor, event_id, body, settings=settings, now=now)


@router.post("/events/{event_id}/invitations", status_code=201, responses=INVITING)
async def event_invitations_send(
    event_id: UUID, body: InvitationCreate, actor: Inviter, session: Session, now: Now, settings: Config
) -> Chosen:
    """Invite a segment's members, each once; they find it among their notices. Sent again, only who is new."""
    return await invitations.invite(session, actor, event_id, body, settings=settings, now=now)


@router.get("/events/{event_id}/invitations", responses=documented(NotFound))
async def event_invitations_list(
    event_id: UUID, actor: Reader, session: Session, answer: Answer | None = None, limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvitationRead]:  # fmt: skip
    """Who was invited and what they said, by member."""
    found = await invitations.listed(session, actor, event_id, answered=answer, after=id_after(cursor), limit=limit + 1)
    items = [
        InvitationRead.model_validate(
            dict(invitation) | {"member_no": member_no, "is_registered": is_registered, "came": came}
        )
        for invitation, member_no, is_registered, came in found
    ]
    return Page[InvitationRead].model_validate(paged(items, limit, lambda one: (str(one.member_id),)))


@router.get("/events/{event_id}/invitations/summary", responses=documented(NotFound))
async def event_invitations_summary(event_id: UUID, actor: Reader, session: Session) -> InvitationSummary:
    """What came of an event's invitations."""
    return await invitations.summary(session, actor, event_id)


@router.get("/events/{event_id}/survey", responses=documented(NotFound))
async def event_surveys_figures(event_id: UUID, actor: Reader, session: Session) -> SurveyFigures:
    """What those who came thought of an event, without their names."""
    await invitations.run_by(session, actor, event_id)
    return await surveys.figures(session, event_id)


# --- members ---


@router.get("/members/me/event-invitations")
async def my_invitations_list(
    actor: Member, session: Session, limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnInvitation]:
    """The events I am invited to, the latest planned first."""
    assert actor.member_id is not None
    found = await invitations.of_member(session, actor.member_id, after=id_after(cursor), limit=limit + 1)
    items = [_own(invitation, event) for invitation, event in found]
    return Page[OwnInvitation].model_validate(paged(items, limit, lambda one: (str(one.event.id),)))


@router.put("/members/me/event-invitations/{event_id}/answer", responses=documented(NotFound, WrongStatus))
async def my_invitations_answer(
    event_id: UUID, body: AnswerGive, actor: Member, session: Session, now: Now
) -> OwnInvitation:
    """Say whether I will come, or change my mind; a seat is taken by registering."""
    assert actor.member_id is not None
    return _own(*await invitations.answer(session, actor.member_id, event_id, body.answer, now=now))


@router.get("/members/me/events/{event_id}/survey", responses=documented(NotFound))
async def my_surveys_get(event_id: UUID, actor: Member, session: Session) -> SurveyGive:
    """What I said of an event."""
    assert actor.member_id is not None
    return SurveyGive.model_validate(
        await surveys.of_member(session, actor.member_id, event_id), from_attributes=True
    )  # fmt: skip


@router.put("/members/me/events/{event_id}/survey", responses=documented(NotFound, SurveyClosed))
async def my_surveys_give(
    event_id: UUID, body: SurveyGive, actor: Member, session: Session, now: Now, settings: Config
) -> SurveyRead:
    """Say how an event was that I came to, or say so anew; points, if a rule gives any, are for the first time."""
    assert actor.member_id is not None
    answer, points = await surveys.give(
        session, actor.subject, actor.member_id, event_id, body, days=settings.event_survey_days, now=now
    )
    return SurveyRead.model_validate(dict(answer) | {"points": points})


def _own(invitation: Invitation, event: ClubEvent) -> OwnInvitation:
    summary = EventSummary.model_validate(event, from_attributes=True)
    return OwnInvitation.model_validate(dict(invitation) | {"event": summary})
