"""Who is asking: an actor is a subject with a role, how far that role reaches, and what it may do there."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

HEADQUARTERS = "HQ"
"""Headquarters as a place, beside the dealers' codes."""


class Reach(StrEnum):
    """How far a role's rights extend."""

    ALL = "all"
    REGION = "region"
    DEALER = "dealer"
    PARTNER = "partner"
    AGENCY = "agency"
    SELF = "self"


class Right(StrEnum):
    """One thing that may be done; for programs, a scope. To view, to export and to unmask are three rights."""

    NETWORK_READ = "network:read"
    NETWORK_WRITE = "network:write"
    CHAPTERS_WRITE = "chapters:write"
    MATERIALS_READ = "materials:read"
    MATERIALS_REQUEST = "materials:request"
    MATERIALS_WRITE = "materials:write"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    STAFF_READ = "staff:read"
    STAFF_WRITE = "staff:write"
    MEMBERS_READ = "members:read"
    MEMBERS_ENROL = "members:enrol"
    MEMBERS_WRITE = "members:write"
    MEMBERS_DECIDE = "members:decide"
    MEMBERS_APPLY = "members:apply"
    MEMBERS_UNMASK = "members:unmask"
    MEMBERS_CARE = "members:care"
    ATTRIBUTES_WRITE = "attributes:write"
    RECORDS_EXPORT = "records:export"
    POINTS_READ = "points:read"
    POINTS_EARN = "points:earn"
    POINTS_REDEEM = "points:redeem"
    POINTS_REVERSE = "points:reverse"
    POINTS_CORRECT = "points:correct"
    POINTS_TOTALS = "points:totals"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    FRAMES_WRITE = "frames:write"
    TIERS_WRITE = "tiers:write"
    DELIVERIES_WRITE = "deliveries:write"
    RECRUITMENT_READ = "recruitment:read"
    RECRUITMENT_WRITE = "recruitment:write"
    RECRUITMENT_PLAN = "recruitment:plan"
    REPORTS_READ = "reports:read"
    REFERRALS_READ = "referrals:read"
    REFERRALS_WRITE = "referrals:write"
    REFERRALS_DECIDE = "referrals:decide"
    INCENTIVES_READ = "incentives:read"
    INCENTIVES_WRITE = "incentives:write"
    INCENTIVES_PAY = "incentives:pay"
    SIGNALS_READ = "signals:read"
    SIGNALS_DECIDE = "signals:decide"
    COUNTER_SERVE = "counter:serve"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ORDERS_CANCEL = "orders:cancel"
    CONTRACTS_READ = "contracts:read"
    CONTRACTS_WRITE = "contracts:write"
    STATEMENTS_READ = "statements:read"
    STATEMENTS_CONFIRM = "statements:confirm"
    SETTLEMENT_RUN = "settlement:run"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    AUDIT_READ = "audit:read"
    PRIVACY_WRITE = "privacy:write"
    REWARDS_READ = "rewards:read"
    REWARDS_WRITE = "rewards:write"
    REWARDS_FULFIL = "rewards:fulfil"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    EVENTS_APPROVE = "events:approve"
    EVENTS_SETTLE = "events:settle"
    EVENT_MONEY_OWN = "event_money:own"
    EVENT_MONEY_GRANT = "event_money:grant"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    PARTNERS_PREPAY = "partners:prepay"
    VOUCHERS_VERIFY = "vouchers:verify"
    CLAIMS_CHECK = "claims:check"
    COMMISSIONS_READ = "commissions:read"
    OWN_CARD = "own:card"


class Role(StrEnum):
    """The roles of a club; each reaches as far as `REACH` says and may do what `RIGHTS` says."""

    HQ_ADMIN = "hq_admin"
    HQ_OPERATIONS = "hq_operations"
    HQ_FINANCE = "hq_finance"
    AUDITOR = "auditor"
    REGIONAL_MANAGER = "regional_manager"
    CARE_DIRECTOR = "care_director"
    CARE_STAFF = "care_staff"
    GENERAL_MANAGER = "general_manager"
    SALES_CONSULTANT = "sales_consultant"
    SERVICE_ADVISOR = "service_advisor"
    FINANCE_CLERK = "finance_clerk"
    PARTNER_CLERK = "partner_clerk"
    PARTNER_MANAGER = "partner_manager"
    AGENCY_CLERK = "agency_clerk"
    MEMBER = "member"
    API_CLIENT = "api_client"

    @property
    def reach(self) -> Reach:
        """How far the role's rights extend."""
        return REACH[self]

    @property
    def is_dealer_staff(self) -> bool:
        """Bound to one dealer: sees and does only what is its own."""
        return self.reach is Reach.DEALER


REACH = {
    Role.HQ_ADMIN: Reach.ALL,
    Role.HQ_OPERATIONS: Reach.ALL,
    Role.HQ_FINANCE: Reach.ALL,
    Role.AUDITOR: Reach.ALL,
    Role.REGIONAL_MANAGER: Reach.REGION,
    Role.CARE_DIRECTOR: Reach.DEALER,
    Role.CARE_STAFF: Reach.DEALER,
    Role.GENERAL_MANAGER: Reach.DEALER,
    Role.SALES_CONSULTANT: Reach.DEALER,
    Role.SERVICE_ADVISOR: Reach.DEALER,
    Role.FINANCE_CLERK: Reach.DEALER,
    Role.PARTNER_CLERK: Reach.PARTNER,
    Role.PARTNER_MANAGER: Reach.PARTNER,
    Role.AGENCY_CLERK: Reach.AGENCY,
    Role.MEMBER: Reach.SELF,
    Role.API_CLIENT: Reach.ALL,
}

PROGRAM_SCOPES = frozenset({
    Right.MEMBERS_CARE,
    Right.NETWORK_READ, Right.MEMBERS_READ, Right.MEMBERS_ENROL, Right.MEMBERS_WRITE, Right.MEMBERS_APPLY,
    Right.POINTS_READ, Right.POINTS_EARN, Right.POINTS_REDEEM, Right.POINTS_REVERSE, Right.ORDERS_READ,
    Right.ORDERS_WRITE, Right.ORDERS_CANCEL, Right.RECORDS_EXPORT, Right.DELIVERIES_WRITE,
    Right.REPORTS_READ, Right.REFERRALS_READ, Right.REFERRALS_WRITE,
})  # fmt: skip
"""What a program may be given; the rest is for people."""

_RECRUIT = {Right.RECRUITMENT_READ, Right.RECRUITMENT_WRITE, Right.REFERRALS_READ, Right.REFERRALS_WRITE}
_SUPPLIED = {Right.MATERIALS_READ, Right.MATERIALS_REQUEST, Right.DOCUMENTS_READ}
_VIEW = {
    Right.INCENTIVES_READ,
    Right.PARTNERS_READ,
    Right.EVENTS_READ,
    Right.RULES_READ,
    Right.REWARDS_READ,
    Right.MATERIALS_READ, Right.DOCUMENTS_READ,
    Right.RECRUITMENT_READ, Right.REPORTS_READ, Right.REFERRALS_READ,
    Right.NETWORK_READ, Right.STAFF_READ, Right.MEMBERS_READ, Right.POINTS_READ, Right.ORDERS_READ,
    Right.STATEMENTS_READ,
}  # fmt: skip
_COUNTER = {
    Right.PARTNERS_READ,
    Right.REWARDS_READ, Right.REWARDS_FULFIL,
    Right.NETWORK_READ, Right.MEMBERS_READ, Right.MEMBERS_ENROL, Right.MEMBERS_APPLY, Right.POINTS_READ,
    Right.POINTS_REDEEM, Right.COUNTER_SERVE, Right.ORDERS_READ, Right.ORDERS_WRITE,
}  # fmt: skip
_OPERATE = _RECRUIT | {
    Right.INCENTIVES_READ, Right.INCENTIVES_WRITE, Right.SIGNALS_READ, Right.SIGNALS_DECIDE,
    Right.PARTNERS_READ, Right.PARTNERS_WRITE,
    Right.EVENTS_READ, Right.EVENTS_WRITE, Right.EVENTS_APPROVE, Right.EVENTS_SETTLE, Right.EVENT_MONEY_GRANT,
    Right.REFERRALS_DECIDE,
    Right.RULES_READ, Right.RULES_WRITE, Right.FRAMES_WRITE, Right.TIERS_WRITE,
    Right.REWARDS_READ, Right.REWARDS_WRITE, Right.REWARDS_FULFIL,
    Right.MATERIALS_READ, Right.MATERIALS_WRITE, Right.DOCUMENTS_READ, Right.DOCUMENTS_WRITE,
    Right.MEMBERS_CARE, Right.ATTRIBUTES_WRITE,
    Right.DELIVERIES_WRITE, Right.RECRUITMENT_PLAN, Right.REPORTS_READ,
    Right.NETWORK_READ, Right.NETWORK_WRITE, Right.CHAPTERS_WRITE, Right.STAFF_READ, Right.STAFF_WRITE,
    Right.MEMBERS_READ, Right.MEMBERS_ENROL, Right.MEMBERS_WRITE, Right.MEMBERS_DECIDE, Right.MEMBERS_APPLY,
    Right.MEMBERS_UNMASK, Right.RECORDS_EXPORT, Right.POINTS_READ, Right.POINTS_EARN, Right.POINTS_REVERSE,
    Right.POINTS_CORRECT, Right.POINTS_TOTALS, Right.ORDERS_READ, Right.ORDERS_WRITE, Right.ORDERS_CANCEL,
    Right.STATEMENTS_READ, Right.PRIVACY_WRITE,
}  # fmt: skip
_SETTLE = {
    Right.INCENTIVES_READ,
    Right.INCENTIVES_PAY,
    Right.SIGNALS_READ,
    Right.PARTNERS_READ,
    Right.PARTNERS_PREPAY,
    Right.CLAIMS_CHECK,
    Right.EVENTS_READ,
    Right.EVENTS_SETTLE,
    Right.EVENT_MONEY_GRANT,
    Right.RULES_READ,
    Right.RECORDS_EXPORT,
    Right.POINTS_TOTALS,
    Right.CONTRACTS_READ,
    Right.CONTRACTS_WRITE,
    Right.STATEMENTS_READ,
    Right.SETTLEMENT_RUN,
}
_DIRECT = _COUNTER | _RECRUIT | _SUPPLIED | {
    Right.INCENTIVES_READ, Right.INCENTIVES_WRITE,
    Right.PARTNERS_WRITE,
    Right.EVENTS_READ, Right.EVENTS_WRITE,
    Right.RULES_READ, Right.RULES_WRITE,
    Right.REWARDS_WRITE,
    Right.MEMBERS_CARE,
    Right.DELIVERIES_WRITE, Right.RECRUITMENT_PLAN, Right.REPORTS_READ,
    Right.CHAPTERS_WRITE, Right.STAFF_READ, Right.STAFF_WRITE, Right.MEMBERS_WRITE, Right.MEMBERS_DECIDE,
    Right.MEMBERS_UNMASK, Right.RECORDS_EXPORT, Right.ORDERS_CANCEL, Right.STATEMENTS_READ,
}  # fmt: skip

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.HQ_ADMIN: frozenset(_OPERATE | _SETTLE | {Right.ACCOUNTS_READ, Right.ACCOUNTS_WRITE, Right.AUDIT_READ}),
    Role.HQ_OPERATIONS: frozenset(_OPERATE),
    Role.HQ_FINANCE: frozenset({Right.NETWORK_READ, Right.POINTS_READ, Right.REPORTS_READ} | _SETTLE),
    Role.AUDITOR: frozenset(
        _VIEW
        | {Right.SIGNALS_READ, Right.RECORDS_EXPORT, Right.POINTS_TOTALS, Right.CONTRACTS_READ}
        | {Right.ACCOUNTS_READ, Right.AUDIT_READ}
    ),
    Role.REGIONAL_MANAGER: frozenset(_VIEW | {Right.EVENTS_APPROVE}),
    Role.CARE_DIRECTOR: frozenset(_DIRECT),
    Role.CARE_STAFF: frozenset(
        _COUNTER | _RECRUIT | _SUPPLIED | {Right.MEMBERS_CARE, Right.EVENTS_READ, Right.EVENTS_WRITE}
    ),
    Role.GENERAL_MANAGER: frozenset(
        _VIEW | _SUPPLIED | {Right.INCENTIVES_PAY, Right.EVENTS_APPROVE, Right.EVENT_MONEY_OWN}
    ),
    Role.SALES_CONSULTANT: frozenset(_RECRUIT | {Right.NETWORK_READ, Right.MEMBERS_ENROL, Right.MEMBERS_APPLY}),
    Role.SERVICE_ADVISOR: frozenset(_COUNTER),
    Role.FINANCE_CLERK: frozenset(
        {Right.NETWORK_READ, Right.STATEMENTS_READ, Right.STATEMENTS_CONFIRM, Right.CLAIMS_CHECK, Right.RECORDS_EXPORT}
    ),
    Role.PARTNER_CLERK: frozenset({Right.VOUCHERS_VERIFY, Right.STATEMENTS_READ}),
    Role.PARTNER_MANAGER: frozenset(
        {Right.VOUCHERS_VERIFY, Right.STATEMENTS_READ, Right.STATEMENTS_CONFIRM, Right.CLAIMS_CHECK}
    ),
    Role.AGENCY_CLERK: frozenset({Right.COMMISSIONS_READ}),
    Role.MEMBER: frozenset({Right.OWN_CARD}),
    Role.API_CLIENT: frozenset(),
}
"""What each role may do, as far as it reaches; a program may do what its scopes name."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller.

    Staff have a `dealer_code`, `region_code`, `partner_code` or `agency_code` as far as they reach, members their
    `member_id`, programs their `scopes` and, unless they reach all, `dealer_codes` or a `region_code`. Who signed in
    as a person has a `session_id`.
    """

    subject: str
    role: Role
    dealer_code: str | None = None
    member_id: UUID | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    region_code: str | None = None
    partner_code: str | None = None
    session_id: UUID | None = None
    dealer_codes: frozenset[str] = frozenset()
    agency_code: str | None = None

    @property
    def reach(self) -> Reach:
        """How far the actor's rights extend: as its role's, but for a program that is bound to dealers or a region."""
        if self.role is not Role.API_CLIENT:
            return self.role.reach
        if self.dealer_codes:
            return Reach.DEALER
        return Reach.REGION if self.region_code else Reach.ALL

    @property
    def dealers(self) -> frozenset[str]:
        """The dealers by whose codes the actor is bound; empty for who is not."""
        return self.dealer_codes or frozenset(filter(None, (self.dealer_code,)))

    @property
    def place(self) -> str:
        """Where this actor's postings happen: its dealer, or headquarters."""
        return self.dealer_code or HEADQUARTERS

    def may(self, right: Right) -> bool:
        """Whether the actor has a right, as far as it reaches."""
        if self.role is Role.API_CLIENT:
            return right in PROGRAM_SCOPES and right in self.scopes
        return right in RIGHTS[self.role]


acting: ContextVar[Actor | None] = ContextVar("acting", default=None)
"""Whom the request under way is for: what is recorded and what the database lets be read follows from it."""
