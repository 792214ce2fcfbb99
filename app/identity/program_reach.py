"""How far a program reaches: all dealers, one region's, or those named."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.problems import InvalidPayload

FIELDS = ("scopes", "region_code", "dealer_codes", "last_day")
"""What is a program's alone; a person has grants instead."""

# the network is a domain above: of its tables nothing but the keys, as the grants' foreign keys name them
_UNKNOWN_REGION = text("SELECT NOT EXISTS (SELECT FROM region WHERE code = :code)")
_UNKNOWN_DEALER = text(
    "SELECT c FROM unnest(CAST(:codes AS text[])) c WHERE c NOT IN (SELECT code FROM dealer) LIMIT 1"
)


async def require(session: AsyncSession, region_code: str | None, dealer_codes: Collection[str]) -> None:
    """Refuse a reach that makes no sense.

    Raises:
        InvalidPayload: a region and dealers at once, or one that does not exist.
    """
    if region_code is not None and dealer_codes:
        raise InvalidPayload.at("/dealer_codes", "region_or_dealers")
    if region_code is not None and await session.scalar(_UNKNOWN_REGION, {"code": region_code}):
        raise InvalidPayload.at("/region_code", "unknown_region", value=region_code)
    if dealer_codes and (unknown := await session.scalar(_UNKNOWN_DEALER, {"codes": list(dealer_codes)})) is not None:
        raise InvalidPayload.at("/dealer_codes", "unknown_dealer", value=unknown)
