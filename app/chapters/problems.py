"""What the network can refuse."""

from app.core.problems import Problem


class RegionExists(Problem):
    """The code belongs to a region already."""

    status, type = 409, "region-exists"


class DealerExists(Problem):
    """The code belongs to a dealer already."""

    status, type = 409, "dealer-exists"


class ChapterExists(Problem):
    """The dealer has a chapter; it has none or one."""

    status, type = 409, "chapter-exists"
