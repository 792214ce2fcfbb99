"""`club report network`: what it prints."""

import json
from pathlib import Path

import pytest

from tests.command import Command

DEALERS = """dealer_code,region_code,region_name,has_after_sales,has_chapter
BJ001,BJ,Beijing,true,true
BJ002,BJ,Beijing,true,false
SH001,SH,Shanghai,true,true
"""
MEMBERS = """dealer_code,name,phone,vin,delivered_on
BJ001,张伟,15400000001,LSVAB26E9S2000001,2025-05-04
"""
DELIVERIES = """dealer_code,vin,delivered_on,owner_kind,owner_name,phone,consultant,model
BJ001,LSVAB26E9S2000001,2025-05-04,individual,张伟,15400000001,li,Sedan
BJ001,LSVAB26E0S2000002,2025-05-05,individual,李娜,15400000002,li,Sedan
BJ001,LSVAB26E2S2000003,2025-05-05,company,某某公司,,li,Sedan
"""


@pytest.fixture
def loaded(command: Command, tmp_path: Path) -> Command:
    for kind, content in (("dealers", DEALERS), ("members", MEMBERS), ("deliveries", DELIVERIES)):
        (tmp_path / kind).write_text(content, encoding="utf-8")
        result = command("import", kind, tmp_path / kind, "--json")
        assert (result.exit_code, json.loads(result.stdout)["refused"]) == (0, 0), result.output
    return command


def test_json_is_exactly_the_figures(loaded: Command):
    result = loaded("report", "network", "--month", "2025-05", "--json")
    assert result.exit_code == 0, result.output
    of_bj = {
        "members": 1, "applying": 0, "owners": 0, "recruitment_rate": None, "joining_rate": 0.5, "chapters": 0,
        "dealers_after_sales": 2, "coverage": 0.0, "new_members": 1,
    }  # fmt: skip
    of_sh = dict.fromkeys(of_bj, 0) | {
        "recruitment_rate": None, "joining_rate": None, "dealers_after_sales": 1, "coverage": 0.0,
    }  # fmt: skip
    # the file's chapters opened today
    assert json.loads(result.stdout) == {
        "national": of_bj | {"dealers_after_sales": 3}, "regions": {"BJ": of_bj, "SH": of_sh},
    }  # fmt: skip
    assert list(json.loads(result.stdout)["national"]) == list(of_bj)


def test_a_table_of_the_last_month(loaded: Command):
    result = loaded("report", "network")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:4] == ["at", "the", "end", "of"]
    assert lines[1] == ["national", "BJ", "SH"]
    assert ["dealers_after_sales", "3", "2", "1"] in lines
    assert ["recruitment_rate", "-", "-", "-"] in lines
    assert ["coverage", "0.0000", "0.0000", "0.0000"] in lines


def test_months_that_are_none(loaded: Command):
    assert loaded("report", "network", "--month", "2025-13").exit_code == 2
    result = loaded("report", "network", "--month", "2199-01")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "2199-01 has not begun in China" in result.stderr
