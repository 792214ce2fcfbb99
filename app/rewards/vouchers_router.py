"""Partners' vouchers at the counter: claimed for a member who has no app at hand."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from app.core.actors import Right
from app.core.http import GUARDED, Errand, Errands, documented
from app.core.idempotency import once
from app.core.problems import KeyConflict, NotFound
from app.members.problems import ConsentMissing
from app.partners import vouchers
from app.partners.problems import PerkGone, PerkLimit, PerkNotOffered
from app.partners.voucher_schemas import OwnVoucher, VoucherClaim
from app.partners.vouchers_router import own_voucher
from app.points import problems
from app.points.confirmation import Confirm
from app.rewards.router import CodesInUse, GuardInUse
from app.rewards.schemas import OneTimeCode

router = APIRouter(tags=["vouchers"], responses=GUARDED)

CounterErrand = Annotated[Errand, Depends(Errands(Right.COUNTER_SERVE))]


class CounterClaim(VoucherClaim):
    """The perk that the member at the counter wants."""

    member_id: UUID
    code: OneTimeCode | None = Field(default=None, description="the member's, where the perk costs points")


@router.post(
    "/counter/vouchers", status_code=201, response_model=OwnVoucher,
    responses=documented(
        NotFound, PerkNotOffered, PerkGone, PerkLimit, ConsentMissing, KeyConflict, problems.InsufficientPoints,
        problems.WalletClosed, problems.ConfirmationRequired, problems.ConfirmationWrong, problems.ConfirmationLocked,
    ),
)  # fmt: skip
async def vouchers_claim_for(
    body: CounterClaim, errand: CounterErrand, codes: CodesInUse, guard: GuardInUse
) -> Response:  # fmt: skip
    """Claim a perk for a member of one's chapter; the answer has the code to hand out, and nothing else shows it."""
    code = codes.judge(body.member_id, body.code, errand.now) if body.code else None
    async with guard.guessing(errand.db.pool, errand.actor, errand.now):
        return await _claimed(errand, body, Confirm(needed=True, code=code))


async def _claimed(errand: Errand, body: CounterClaim, confirm: Confirm) -> Response:
    async with errand.db.session() as session:

        async def claim() -> OwnVoucher:
            held = await vouchers.claim(session, errand.actor, body.member_id, body.perk_id, confirm, now=errand.now)
            return own_voucher(held)

        try:
            return await once(
                session, caller=errand.actor.subject, key=errand.key, now=errand.now, action=claim,
                request=body.model_copy(update={"code": None}), target=str(body.member_id),
            )  # fmt: skip
        except problems.ConfirmationWrong as error:
            # the ledger has counted it, which stays; nothing else was written
            wrong = error
    raise wrong
