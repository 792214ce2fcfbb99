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
