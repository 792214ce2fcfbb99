"""What enrolment and membership can refuse."""

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


class ApplicationOpen(Problem):
    """The owner's application for this vehicle is open with another chapter."""

    status, type = 409, "application-open"


class TooManyCodes(Problem):
    """Sign-in codes were asked for too often under this number, whoever has it."""

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
