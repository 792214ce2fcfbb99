"""What commands take and how they answer: options that many share, tables, JSON, and the word on the way out."""

from datetime import date
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

console = Console()
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def fail(message: str) -> NoReturn:
    """Leave with a word on stderr and exit code 1."""
    Console(stderr=True).print(f"club: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def say(words: str) -> None:
    """Print words as they are, on as few lines as they need."""
    console.print(words, highlight=False, soft_wrap=True)


def answer(document: str, *readable: RenderableType, as_json: bool) -> None:
    """Print a command's answer: the JSON document, or what people read."""
    if as_json:
        print(document)
    else:
        console.print(*readable)


def sums(title: str, values: dict[str, Any]) -> Table:
    """A table of named figures."""
    table = Table(title=Text(title), show_header=False)
    for name, value in values.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
    return table


def month(text: str) -> date:
    """An argument such as 2026-10: that month's first day."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise typer.BadParameter("must be a month such as 2026-10") from None


def day(text: str) -> date:
    """An argument such as 2026-10-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a date such as 2026-10-31") from None
