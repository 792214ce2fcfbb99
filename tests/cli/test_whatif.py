"""`club whatif`: a file of drafts on a past month, as figures, as JSON, or refused for what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.earning.writing import definition

pytestmark = pytest.mark.usefixtures("filled")


def drafts(folder: Path, **fields: Any) -> Path:
    path = folder / "rules.json"
    path.write_text(json.dumps([{"code": "orders", "definition": definition(**fields)}]))
    return path


def test_a_draft_beside_what_happened(command: Command, tmp_path: Path):
    """Twice the points, half of them the dealer's, on the one order of May 2025."""
    shares = [{"party": "hq", "percent": "50"}, {"party": "dealer", "percent": "50"}]
    file = drafts(tmp_path, amount="event.paid_fen / 50", funders=shares, examples=[])
    told = json.loads(command("whatif", file, "--month", "2025-05", "--json").stdout)
    given = {(row["place"], row["funder"]): (row["draft"]["points"], row["happened"]["points"]) for row in told["rows"]}
    assert given == {("BJ001", "HQ"): (118, 117), ("BJ001", "BJ001"): (117, 0)}
    assert (told["month"], told["events"], told["as_if_in_force"]) == ("2025-05", 1, ["orders"])
    shown = command("whatif", file, "--month", "2025-05").stdout
    assert ["all", "235", "117"] in [line.split()[:3] for line in shown.splitlines()]
    assert json.loads(command("totals", "--json").stdout)["issued"] == 217


def test_a_wrong_file_is_refused(command: Command, tmp_path: Path):
    for fields, said in (
        ({"amount": "event.paid_yuan"}, "expression_unknown_name"),
        ({"amount": "event.paid_fen - 20000"}, "rule_example_fails"),
        ({"funders": [{"party": "hq", "percent": "101"}]}, "funders"),
    ):
        result = command("whatif", drafts(tmp_path, **fields), "--month", "2025-05")
        assert (result.exit_code, said in result.stderr) == (1, True), result.output
    assert command("whatif", tmp_path / "none.json", "--month", "2025-05").exit_code == 1
