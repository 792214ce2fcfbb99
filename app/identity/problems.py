"""What identity can refuse."""

from app.core.problems import Problem


class UsernameTaken(Problem):
    """Another account has this username."""

    status, type = 409, "username-taken"


class GrantExists(Problem):
    """The account has this role there on one of these days."""

    status, type = 409, "grant-exists"


class OwnAccount(Problem):
    """Nobody decides on an account of one's own what it may do."""

    status, type = 409, "own-account"


class AccountBlocked(Problem):
    """Headquarters deactivated the account, and only headquarters' administrators make it active again."""

    status, type = 409, "account-blocked"


class SessionEnded(Problem):
    """The refresh token is unknown, used, or its session is over: told apart for nobody. Sign in again."""

    status, type = 401, "session-ended"


class SignInFailed(Problem):
    """Unknown username, wrong password or inactive account: told apart for nobody."""

    status, type = 401, "sign-in-failed"


class SecondFactorRequired(Problem):
    """The password is right, and a code of the second factor is needed, or one must be set up first."""

    status, type = 401, "second-factor-required"

    def __init__(self, *, is_set_up: bool) -> None:
        super().__init__(is_set_up=is_set_up)


class SecondFactorMissing(Problem):
    """The identity provider did not say that it asked for a second factor, which this account needs."""

    status, type = 403, "second-factor-missing"


class SecondFactorExists(Problem):
    """The account has a second factor; headquarters removes it before another is set up."""

    status, type = 409, "second-factor-exists"


class PasswordChangeRequired(Problem):
    """The password is right but was set by somebody else: it is good for its own change only."""

    status, type = 403, "password-change-required"


class InitialPasswordEnded(Problem):
    """The password is right, but was set by somebody else too long ago: it is good for nothing any more."""

    status, type = 403, "initial-password-ended"


class TooManyAttempts(Problem):
    """Sign-in failed too often from here; after `retry_after_seconds` it is looked at again."""

    status, type = 429, "too-many-attempts"


class ProviderUnavailable(Problem):
    """The OpenID Connect provider does not answer, or not as it should."""

    status, type = 502, "identity-provider-unavailable"


class EmailTaken(Problem):
    """Another account stands under this e-mail at the identity provider."""

    status, type = 409, "email-taken"


class ListNotOurs(Problem):
    """The token of an offline list was not made here, or is of another list than what it is used for."""

    status, type = 409, "list-not-ours"
