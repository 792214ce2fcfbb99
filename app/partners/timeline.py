"""What partners' perks tell of a member's timeline."""

from uuid import UUID

from sqlalchemy import SelectBase, func, literal, union_all
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.partners.models import Partner, Perk, Voucher


def _vouchers(member_id: UUID) -> SelectBase:
    voucher = Voucher
    facts = {"perk": col(Perk.name), "partner": col(Partner.name), "points": col(voucher.points)}
    turns = (
        (literal("claimed"), col(voucher.claimed_at)),
        (literal("used"), col(voucher.used_at)),
        (col(voucher.status), col(voucher.ended_at)),
    )
    return union_all(*(
        happening(at=at, id=func.concat(col(voucher.id), ":", kind), kind=kind, facts=facts)
        .join(Perk, col(Perk.id) == col(voucher.perk_id))
        .join(Partner, col(Partner.code) == col(voucher.partner_code))
        .where(col(voucher.member_id) == member_id, at.is_not(None))
        for kind, at in turns
    ))  # fmt: skip


def _reader(actor: Actor) -> bool:
    return actor.may(Right.PARTNERS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("voucher", ("claimed", "used", "returned", "expired"), _vouchers, _reader),)
