"""What the network can refuse."""

from app.core.problems import Problem


class RegionExists(Problem):
    """The code belongs to a region already."""

    status, type = 409, "region-exists"


class DealerExists(Problem):
    """The code belongs to a dealer already."""

    status, type = 409, "dealer-exists"


class OfficeTaken(Problem):
    """Somebody else holds the office in these days, and it has one holder."""

    status, type = 409, "office-taken"


class MaterialExists(Problem):
    """The catalogue has something of this name already."""

    status, type = 409, "material-exists"


class StockShort(Problem):
    """There is less of a material than is to go."""

    status, type = 409, "stock-short"


class ChapterExists(Problem):
    """The dealer has a chapter; it has none or one."""

    status, type = 409, "chapter-exists"
