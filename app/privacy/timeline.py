"""What privacy tells of a member's timeline: its answers, and what of its data went to partners."""

from uuid import UUID

from sqlalchemy import SelectBase, func, literal
from sqlmodel import col

from app.core.actors import Actor
from app.core.timeline import Source, happening
from app.members.consent_models import Consent
from app.members.consent_rules import Decision
from app.privacy.models import Provision


def _answers(member_id: UUID) -> SelectBase:
    return happening(
        at=col(Consent.at),
        id=col(Consent.id),
        kind=col(Consent.decision),
        facts={
            "purpose": col(Consent.purpose),
            "partner": col(Consent.partner_name),
            "channel": col(Consent.channel),
        },
        by=col(Consent.recorded_by),
    ).where(col(Consent.member_id) == member_id)


def _provisions(member_id: UUID) -> SelectBase:
    return happening(
        at=col(Provision.at),
        id=col(Provision.id),
        kind=literal("provided"),
        facts={
            "partner": col(Provision.partner_name),
            "kinds": func.array_to_string(col(Provision.kinds), ", "),
            "reason": col(Provision.reason),
        },
        by=col(Provision.recorded_by),
    ).where(col(Provision.member_id) == member_id)


def _reader(_: Actor) -> bool:
    # who sees the member sees what it agreed to: that is what it may be used for
    return True


SOURCES = (
    Source("consent", tuple(Decision), _answers, _reader),
    Source("provision", ("provided",), _provisions, _reader),
)
