"""A small network as files, and what a command says became of one."""

import json
from typing import Any

from tests.command import Result

DEALERS = b"""dealer_code,region_code,region_name,has_after_sales,has_chapter
BJ001,BJ,Beijing,true,true
SH001,SH,Shanghai,true,true
"""
MEMBERS = """dealer_code,name,phone,vin,delivered_on
BJ001,张伟,15400000001,LSVAB26E9S2000001,2025-05-04
BJ001,李娜,15400000002,LSVAB26E0S2000002,2025-05-04
""".encode()
ORDERS = b"""dealer_code,order_no,vin,closed_at,kind,labour_fen,parts_fen,paid_fen
BJ001,RO1,LSVAB26E9S2000001,2025-05-04T14:32:00+08:00,maintenance,3531,8239,11770
SH001,RO2,LSVAB26E9S2000001,2025-06-04T14:32:00+08:00,repair,100,0,99
BJ001,RO3,LSVAB26E0S2000002,2025-06-05T14:32:00+08:00,repair,10000,0,10000
BJ009,RO4,LSVAB26E0S2000002,2025-06-05T14:32:00+08:00,repair,10000,0,10000
"""


def counts(result: Result) -> tuple[Any, ...]:
    """The counts of an import with --json."""
    assert result.exit_code == 0, result.output
    return tuple(json.loads(result.stdout).values())
