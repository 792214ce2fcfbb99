"""What is joined only at the top: the books' opening, and the invariants that `club verify` checks."""

from collections.abc import Sequence
from datetime import date

from app.chapters.verify import CHECKS as CHAPTERS
from app.core import db
from app.core.checks import Check
from app.core.clock import add_months
from app.core.vault import Vault
from app.earning import awards, funders, occasions, tiers, tiers_queries, whatif, why
from app.earning.holdings import HOLDINGS as EARNING_HOLDINGS
from app.earning.merging import MOVERS as EARNING_MOVERS
from app.earning.tiers_timeline import SOURCES as TIERS_SOURCES
from app.earning.timeline import SOURCES as EARNING_SOURCES
from app.earning.triggers import Trigger
from app.earning.verify import CHECKS as EARNING
from app.events import attended, auctions, life, registration_queries, registrations
from app.events import queries as events
from app.events.contest_verify import CHECKS as CONTESTS
from app.events.fields import FIELDS as EVENTS_FIELDS
from app.events.gathering_holdings import HOLDINGS as GATHERINGS_HOLDINGS
from app.events.gathering_merging import MOVERS as GATHERINGS_MOVERS
from app.events.gathering_timeline import SOURCES as GATHERINGS_SOURCES
from app.events.holdings import HOLDINGS as EVENTS_HOLDINGS
from app.events.life_verify import CHECKS as EVENTS_LIFE
from app.events.merging import MOVERS as EVENTS_MOVERS
from app.events.registration_holdings import HOLDINGS as REGISTRATIONS_HOLDINGS
from app.events.registration_merging import MOVERS as REGISTRATIONS_MOVERS
from app.events.registration_timeline import SOURCES as REGISTRATIONS_SOURCES
from app.events.registration_verify import CHECKS as REGISTRATIONS
from app.events.timeline import SOURCES as EVENTS_SOURCES
from app.members import closing, fields, merging, timeline, vehicles
from app.members.sealing import phones_readable
from app.members.transfer_timeline import SOURCES as TRANSFER_SOURCES
from app.members.verify import CHECKS as MEMBERS
from app.partners import funders as partner_funders
from app.partners import queries as partner_queries
from app.partners.holdings import HOLDINGS as PARTNERS_HOLDINGS
from app.partners.merging import MOVERS as PARTNERS_MOVERS
from app.partners.timeline import SOURCES as PARTNERS_SOURCES
from app.partners.verify import CHECKS as PARTNERS
from app.points import ledger, reversals
from app.points.fields import FIELDS as POINTS_FIELDS
from app.points.timeline import SOURCES as POINTS_SOURCES
from app.points.verify import CHECKS as POINTS
from app.privacy import consents, holdings
from app.privacy.timeline import SOURCES as PRIVACY_SOURCES
from app.privacy.verify import CHECKS as PRIVACY
from app.referrals import success
from app.referrals.fields import FIELDS as REFERRALS_FIELDS
from app.referrals.holdings import HOLDINGS as REFERRALS_HOLDINGS
from app.referrals.merging import MOVERS as REFERRALS_MOVERS
from app.referrals.timeline import SOURCES as REFERRALS_SOURCES
from app.referrals.verify import CHECKS as REFERRALS
from app.reports.signals_fields import FIELDS as SIGNALS_FIELDS
from app.rewards import catalogue
from app.rewards import service as counter
from app.rewards.holdings import HOLDINGS as REWARDS_HOLDINGS
from app.rewards.merging import MOVERS as REWARDS_MOVERS
from app.rewards.timeline import SOURCES as REWARDS_SOURCES
from app.rewards.verify import CHECKS as REWARDS
from app.settlement import queries as settlement
from app.settlement.service import ensure_default_contract
from app.settlement.verify import CHECKS as SETTLEMENT
from app.visits import delivered, earnings, purchases
from app.visits import queries as visits
from app.visits.fields import FIELDS as VISITS_FIELDS
from app.visits.merging import MOVERS as VISITS_MOVERS
from app.visits.tiers import MEASURES
from app.visits.timeline import SOURCES as VISITS_SOURCES
from app.visits.verify import CHECKS as VISITS

vehicles.register_services(visits.last_service)
delivered.register(delivered=purchases.delivered, cancelled=purchases.cancelled)
delivered.register(delivered=success.match, cancelled=success.cancel)
fields.register(*POINTS_FIELDS, *VISITS_FIELDS, *tiers_queries.FIELDS, *REFERRALS_FIELDS, *EVENTS_FIELDS)
fields.register(*SIGNALS_FIELDS)
reversals.register(awards.reverse_with)
why.register(visits.DOCUMENT, earnings.told_by_row)
whatif.register_rates(settlement.worth)
whatif.register(Trigger.REPAIR_ORDER, earnings.events_of)
for occasion in (*occasions.JOINED, *occasions.OF_THE_DAY):
    whatif.register(occasion.trigger, occasion.events)
for trigger in purchases.TRIGGERS:
    whatif.register(trigger, purchases.source(trigger))
whatif.register(Trigger.REFERRAL_SUCCESS, success.events_of)
whatif.register(Trigger.EVENT_ATTENDED, attended.events_of)
merging.register(*VISITS_MOVERS, *EARNING_MOVERS, *REWARDS_MOVERS, *REFERRALS_MOVERS)
holdings.register(*EARNING_HOLDINGS, *REWARDS_HOLDINGS, *REFERRALS_HOLDINGS)
timeline.register(
    *TRANSFER_SOURCES, *POINTS_SOURCES, *VISITS_SOURCES, *PRIVACY_SOURCES, *REWARDS_SOURCES, *REFERRALS_SOURCES
)
for measure, query in MEASURES.items():
    tiers.register(measure, query)
catalogue.register_tiers(tiers_queries.tier_of)
timeline.register(*TIERS_SOURCES, *EARNING_SOURCES)
merging.register(*EVENTS_MOVERS, *REGISTRATIONS_MOVERS, *GATHERINGS_MOVERS)
funders.register(partner_funders.faults)
consents.register_partners(partner_queries.names)
merging.register(*PARTNERS_MOVERS)
holdings.register(*PARTNERS_HOLDINGS)
timeline.register(*PARTNERS_SOURCES)
holdings.register(*EVENTS_HOLDINGS, *REGISTRATIONS_HOLDINGS, *GATHERINGS_HOLDINGS)
timeline.register(*EVENTS_SOURCES, *REGISTRATIONS_SOURCES, *GATHERINGS_SOURCES)
closing.register_events(events.open_events)
counter.register_steps(registration_queries.is_an_events)
life.on_move(registrations.follow)
life.on_move(auctions.call_off)
life.on_change(registrations.tell_change)

CHECKS: Sequence[Check] = (
    *POINTS,
    *CHAPTERS,
    *MEMBERS,
    *EARNING,
    *VISITS,
    *PRIVACY,
    *PARTNERS,
    *REWARDS,
    *REFERRALS,
    *EVENTS_LIFE,
    *REGISTRATIONS,
    *CONTESTS,
    *SETTLEMENT,
)
Results = Sequence[tuple[Check, Sequence[str]]]
"""Each check with the rows that disagree."""


async def open_books(dsn: str, first_period: date, rate_fen_per_thousand: int, today: date) -> None:
    """Give an empty ledger its first month and the general contract from then on; opened books stay as they are.

    The months up to today's are made as well, so that no posting has to make one.
    """
    connection = await db.connect(dsn)
    try:
        async with connection.transaction():
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM ledger.period)"):
                period = first_period
                while period <= max(first_period, today):
                    await ledger.open_period(connection, period)
                    period = add_months(period, 1)
                await ensure_default_contract(
                    connection, valid_from=first_period, rate_fen_per_thousand=rate_fen_per_thousand
                )
    finally:
        await connection.close()


async def verify(dsn: str, vault: Vault | None = None) -> Results:
    """Every check, all seen at one moment; with a vault also whether every phone number can be read."""
    checks = [*CHECKS, *([phones_readable(vault)] if vault else [])]
    connection = await db.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [(check, await check.run(connection)) for check in checks]
    finally:
        await connection.close()
