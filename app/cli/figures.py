"""Commands that show figures: the network's reports, and what draft rules would have given."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.cli.opening import on_books
from app.cli.terminal import Json, answer, fail
from app.cli.terminal import month as a_month
from app.core.clock import add_months, china_date, month_of, system_clock
from app.core.db import Database
from app.earning import whatif as trial
from app.referrals import figures as referred
from app.referrals.figures_schemas import ReferralReport
from app.reports import service as reports
from app.reports.schemas import Figures, NetworkRead

Month = Annotated[date | None, typer.Option(parser=a_month, metavar="MONTH", help="else the last over")]
SHOWN = {"national", "regions"}


def network(month: Month = None, as_json: Json = False) -> None:
    """The network's figures at a month's end, of the country and by region."""
    found = on_books(lambda database: reports.read(database.pool, month, now=system_clock()))
    figures = reports.network(found, None)
    answer(figures.model_dump_json(include=SHOWN), _network(figures), as_json=as_json)


def _network(report: NetworkRead) -> Table:
    places = {"national": report.national, **report.regions}
    table = Table(box=None, pad_edge=False, title=f"at the end of {report.as_of}")
    for heading in ("", *places):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name in Figures.model_fields:
        table.add_row(name, *(_figure(getattr(figures, name)) for figures in places.values()))
    return table


def referrals(month: Month = None, as_json: Json = False) -> None:
    """Referred cars delivered to a month's end and in it, of the country and by region."""
    asked = month or add_months(month_of(china_date(system_clock())), -1)
    found = on_books(lambda database: referred.counted(database.pool, asked))
    report = referred.network(found, asked, None)
    answer(report.model_dump_json(include=SHOWN), _successes(report), as_json=as_json)


def _successes(report: ReferralReport) -> Table:
    table = Table("", "cumulative", "month", box=None, pad_edge=False, title=f"to the end of {report.month:%Y-%m}")
    assert report.national is not None
    for name, successes in {"national": report.national, **report.regions}.items():
        table.add_row(name, _figure(successes.cumulative), _figure(successes.month))
    return table


def _figure(value: float | None) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else f"{value:,}"


def whatif(
    file: Annotated[Path, typer.Argument(metavar="RULES.json", help='a list of {"code", "dealer_code", "definition"}')],
    month: Annotated[date, typer.Option(parser=a_month, metavar="MONTH", help="whose events are tried")],
    as_json: Json = False,
) -> None:
    """What a draft set of rules would have given in a month, by chapter and funder, against what was given."""

    async def tried(database: Database) -> trial.WhatIf:
        async with database.transaction(undo=True) as connection:
            return await trial.run(connection, rules, month)

    try:
        rules = trial.read(file)
    except trial.DraftFault as error:
        fail(str(error))
    found = on_books(tried)
    answer(found.model_dump_json(), _tried(found), as_json=as_json)


def _tried(found: trial.WhatIf) -> Table:
    table = Table(box=None, pad_edge=False, title=f"{found.month}: {found.events:,} events, points and yuan")
    for heading in ("", "funder", "draft", "happened", "draft ¥", "happened ¥"):
        table.add_column(heading, justify="left" if heading in ("", "funder") else "right", no_wrap=True)
    for row in [*found.rows, trial.Row(place="all", funder="", draft=found.draft, happened=found.happened)]:
        sums = (row.draft.points, row.happened.points)
        money = (f"{one.fen / 100:,.2f}" for one in (row.draft, row.happened))
        table.add_row(row.place, row.funder, *(f"{points:,}" for points in sums), *money)
    if found.waiting or found.not_tried or found.as_if_in_force:
        table.caption = (
            f"for a person: {found.waiting}; not tried: {', '.join(found.not_tried) or '-'}; "
            f"of other days, tried all the same: {', '.join(found.as_if_in_force) or '-'}"
        )
    return table
