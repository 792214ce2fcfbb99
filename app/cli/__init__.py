"""The `club` command. Any command starts the embedded server when CLUB_DATABASE_URL names no other.

Each module holds the commands on one subject; this list gives them their names and order.
"""

import signal
import sys

import typer

from app.cli import books, figures, files, keys, people, serving
from app.core import process
from app.core.commands import Commands
from app.core.origin import Commanded, origin

app = Commands(
    help="The owner club's service and its books.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
app.command()(serving.migrate)
app.command()(serving.serve)
app.command("worker")(serving.work)
app.command()(serving.demo)
app.command()(people.token)
app.command("rotate-key")(keys.rotate_signing_key)
app.command()(people.account)
app.command("import")(files.import_file)
app.command()(books.close)
app.command()(books.expire)
app.command()(books.verify)
app.command("rotate-data-key")(keys.rotate_data_key)
app.command()(books.totals)
app.command()(figures.whatif)
app.command()(serving.bench)

report = Commands(help="The network's figures.", no_args_is_help=True)
report.command()(figures.network)
report.command()(figures.referrals)
app.add_typer(report, name="report")


@app.callback()
def _operator(context: typer.Context) -> None:
    # what the command does goes into the trail as its user's
    before = origin.set(Commanded(context.invoked_subcommand or ""))
    context.call_on_close(lambda: origin.reset(before))


def main() -> None:
    """Run the command line. SIGTERM ends it as Ctrl-C does, through every `finally`."""
    process.begin()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
