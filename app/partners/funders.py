"""Partners as funders of earning rules: who is named must be one, and who pays ahead is drawn on through its budget."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.problems import FieldError
from app.earning.definitions import Definition
from app.partners import queries
from app.partners.rules import budget_of


async def faults(
    session: AsyncSession, definition: Definition, dealer_code: str | None, pointer: str
) -> list[FieldError]:  # fmt: skip
    """What is wrong with the partners that a rule of headquarters (`dealer_code` None) or a chapter is funded by."""
    found = []
    for index, share in enumerate(definition.funders):
        kind, _, code = share.party.partition(":")
        if kind != "partner":
            continue
        partner = await queries.partner(session, code)
        if partner is None or partner.dealer_code not in (None, dealer_code):
            found.append(FieldError(f"{pointer}/funders/{index}/party", "unknown_partner", {"value": code}))
        elif partner.is_prepaid and budget_of(code) not in definition.budgets:
            found.append(FieldError(f"{pointer}/budgets", "rule_needs_partner_budget", {"budget": budget_of(code)}))
    return found
