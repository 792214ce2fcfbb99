"""What identity can refuse."""

from app.core.problems import Problem


class UsernameTaken(Problem):
    """Another account has this username."""

    status, type = 409, "username-taken"


class SignInFailed(Problem):
    """Unknown username, wrong password or inactive account: told apart for nobody."""

    status, type = 401, "sign-in-failed"
