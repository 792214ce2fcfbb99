"""What enrolment and membership can refuse."""

from collections.abc import Sequence
from uuid import UUID

from app.core.catalogue import Language, Phrase
from app.core.problems import Problem


class NoChapter(Problem):
    """The dealer has no chapter, so nobody can join it."""

    status, type = 409, "no-chapter"


class PhoneTaken(Problem):
    """The phone number belongs to a member of another name (who is not told)."""

    status, type = 409, "phone-taken"


class VehicleTaken(Problem):
    """The vehicle has another owner now."""

    status, type = 409, "vehicle-taken"


class NoticeOutdated(Problem):
    """The member saw an older text than the one in force, `version`."""

    status, type = 409, "notice-outdated"


class ConsentMissing(Problem):
    """The member has not agreed to what its data is to be used for, or to this partner's getting it."""

    status, type = 409, "consent-missing"


class NotToBeAsked(Problem):
    """The member has agreed already, said no of late, is under 14 or not active: it is not asked for consent."""

    status, type = 409, "not-to-be-asked"


class TransferOpen(Problem):
    """The member waits for a transfer already."""

    status, type = 409, "transfer-open"


class ApplicationOpen(Problem):
    """The owner's application for this vehicle is open with another chapter."""

    status, type = 409, "application-open"


class TooManyCodes(Problem):
    """Codes were asked for too often for this number, whoever has it, or for this member."""

    status, type = 429, "too-many-codes"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)


class LinkExpired(Problem):
    """The link token is over, or none of ours: log in with WeChat again."""

    status, type = 401, "link-expired"


class WechatCodeInvalid(Problem):
    """WeChat does not know this code, or no longer (its 40029)."""

    status, type = 401, "wechat-code-invalid"


class WechatCodeUsed(Problem):
    """WeChat was shown this code before (its 40163); one is good once."""

    status, type = 409, "wechat-code-used"


class ErasurePending(Problem):
    """The member has asked to be erased: only headquarters takes that back."""

    status, type = 409, "erasure-pending"


class GuardianNeeded(Problem):
    """The member is under 14: a guardian consents, on record at headquarters."""

    status, type = 409, "guardian-needed"


class WechatBlocked(Problem):
    """WeChat holds the user for a high risk and does not let it log in (its 40226)."""

    status, type = 403, "wechat-user-blocked"


class WechatBusy(Problem):
    """WeChat's quota for this minute is used up (its 45011)."""

    status, type = 429, "wechat-busy"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)


class WechatUnavailable(Problem):
    """WeChat does not answer as it should."""

    status, type = 503, "wechat-unavailable"


class NoWechat(Problem):
    """The club has no mini-program here."""

    status, type = 404, "no-wechat"


class SegmentExists(Problem):
    """The chapter, or headquarters, has a segment of this name."""

    status, type = 409, "segment-exists"


class AttributeExists(Problem):
    """There is an attribute of this key."""

    status, type = 409, "attribute-exists"


class ProfileFieldClosed(Problem):
    """The change names parts of the profile that are not the caller's to edit; `fields` are those."""

    status, type = 403, "profile-field-closed"

    def __init__(self, *, fields: Sequence[str]) -> None:
        super().__init__(fields=", ".join(fields))


class HouseholdFull(Problem):
    """As many persons as a household may have."""

    status, type = 409, "household-full"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)


class ClaimOpen(Problem):
    """The claimant has claimed this car already, and is not answered yet."""

    status, type = 409, "claim-open"


class IntervalExists(Problem):
    """The model has a service interval."""

    status, type = 409, "interval-exists"


class MemberMerged(Problem):
    """The member was merged into another, who goes on: undo that first, or take the other."""

    status, type = 409, "member-merged"

    def __init__(self, *, merged_into: UUID) -> None:
        super().__init__(merged_into=str(merged_into))


class UnreadableFile(Problem):
    """The upload as a whole cannot be read; `reason` says why and what would be right. Nothing was done."""

    status, type = 422, "unreadable-file"

    def __init__(self, *, reason: Phrase) -> None:
        self.reason = reason
        super().__init__(reason=reason)

    def body(self, language: Language) -> dict[str, object]:
        """The problem document, its reason in the same language."""
        return super().body(language) | {"reason": self.reason.said(language)}


class TooManyRows(Problem):
    """More rows than one upload may have. Nothing was done."""

    status, type = 413, "too-many-rows"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)


class ExportTooLarge(Problem):
    """More than one file holds: ask for one chapter at a time."""

    status, type = 422, "export-too-large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)


class EventsOpen(Problem):
    """The chapter has events that are neither settled nor called off."""

    status, type = 409, "events-open"

    def __init__(self, *, events: int) -> None:
        super().__init__(events=events)
