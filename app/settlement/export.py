"""Statements as files for spreadsheets."""

import csv
import io

from app.settlement.schemas import StatementDetail

_LINE = ("line_no", "direction", "basis", "funder", "place", "rate_fen_per_thousand", "points", "amount_fen")


def statement_csv(statement: StatementDetail) -> bytes:
    """A statement's lines under one header; UTF-8 with a byte order mark, so that Excel shows Chinese."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("period", "dealer_code", *_LINE))
    for line in statement.lines:
        own = line.model_dump(mode="json")
        writer.writerow((f"{statement.period:%Y-%m}", statement.dealer_code, *(own[name] for name in _LINE)))
    return out.getvalue().encode("utf-8-sig")
