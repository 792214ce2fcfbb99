"""Books to try commands on."""

import pytest

from tests.cli.files import DEALERS, MEMBERS, ORDERS
from tests.command import invoke, surround


@pytest.fixture(scope="module")
def filled(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The module's database, with two members and their three orders: 217 points."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        surround(patch, dsn, folder / "data")
        for kind, content in (("dealers", DEALERS), ("members", MEMBERS), ("orders", ORDERS)):
            (folder / kind).write_bytes(content)
            result = invoke("import", kind, folder / kind)
            assert result.exit_code == 0, result.output
