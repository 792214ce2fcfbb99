"""One run: databases filled and analysed, then rounds in which each path is measured once, beside TPC-B."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import uuid4

from rich.console import Console

from app.core.actors import Actor, Role
from app.core.clock import system_clock
from app.identity.tokens import Tokens
from bench import databases, imports, load, pgbench, service
from bench.figures import TITLES, BenchError, Path, Report, Round
from bench.load import What
from bench.service import ROOT, Service

_ACTORS = {
    What.EARN: Actor("bench", Role.API_CLIENT, scopes=frozenset({"points:earn"})),
    What.REDEEM: Actor("bench", Role.API_CLIENT, scopes=frozenset({"points:redeem"})),
    What.REDEEM_CODE: Actor("advisor.bench", Role.SERVICE_ADVISOR, databases.DEALER),
}
_TOKEN_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how hard."""

    rounds: int = 3
    seconds: int = 8
    connections: int = 32
    """Keep-alive connections to the service."""


def run(server: str, options: Options, console: Console) -> Report:
    """Measure the service on a server on which databases may be made; progress goes to the console.

    Raises:
        BenchError: a figure could not be taken.
    """
    with _Stage.set(server, console) as stage:
        bench = _Bench(stage, options, console)
        rounds = [bench.round(number) for number in range(1, options.rounds + 1)]
    return Report(rounds, options.seconds, bench.memory_mib, str(databases.fetch(server, "SHOW server_version")))


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is measured on."""

    server: str
    tpc_b: str
    network: str
    """Dealers and members, no order yet: the import's databases are copies of it."""
    books: str
    """The network and wallets with points."""
    service: Service

    @classmethod
    @contextmanager
    def set(cls, server: str, console: Console) -> Iterator["_Stage"]:
        """Fill the databases, then start the service: plans made while tables are empty stay slow."""
        with databases.scratch(server) as tpc_b, databases.scratch(server) as network:
            with console.status("filling the databases"):
                pgbench.prepare(tpc_b)
                databases.load_network(network)
            with databases.scratch(server, template=network) as books:
                with console.status("filling the wallets"):
                    databases.fill_wallets(books)
                    databases.settle(server)
                with service.running(books) as serving:
                    yield cls(server, tpc_b, network, books, serving)


class _Bench:
    """Takes the figures round by round."""

    def __init__(self, stage: _Stage, options: Options, console: Console) -> None:
        self.stage, self.options, self.console = stage, options, console
        self.memory_mib = 0.0
        self._next_wallet = 0

    def round(self, number: int) -> Round:
        """Each path once."""
        stage, seconds = self.stage, self.options.seconds
        paths: dict[Path, Callable[[], float]] = {
            Path.TPC_B: lambda: pgbench.tpc_b(stage.tpc_b, seconds),
            Path.EARN: lambda: pgbench.calls(stage.books, pgbench.EARN, seconds),
            Path.REDEEM: lambda: pgbench.calls(stage.books, pgbench.REDEEM, seconds),
            Path.HTTP_EARN: lambda: self._http(What.EARN),
            Path.HTTP_REDEEM_CODE: lambda: self._http(What.REDEEM_CODE),
            Path.HTTP_REDEEM: lambda: self._http(What.REDEEM),
            Path.IMPORT: lambda: self._import(imports.itself),
            Path.IMPORT_COMMAND: lambda: self._import(imports.command),
        }
        rates: Round = {}
        for path, measure in paths.items():
            # no spinner meanwhile: it would take its share of the machine
            rates[path] = measure()
            self.console.print(f"round {number}  {TITLES[path]}: {rates[path]:,.0f}/s", highlight=False)
        return rates

    def _http(self, what: What) -> float:
        serving = self.stage.service
        token, _ = Tokens(serving.secret.encode(), clock=system_clock).issue(_ACTORS[what], _TOKEN_LIFE)
        order = load.Order(
            what, serving.port, token, serving.secret, uuid4().hex, self._next_wallet, self.options.connections,
            self.options.seconds,
        )  # fmt: skip
        with databases.all_posted(self.stage.books) as claimed, service.watched_memory(serving) as seen:
            result = under_load(order)
            claimed.append(result.answered)
        self.memory_mib = max(self.memory_mib, *seen)
        if what is What.REDEEM_CODE:
            # each finds a member whose code of this minute is unused
            self._next_wallet += result.answered
        return result.per_second

    def _import(self, measure: Callable[[str], float]) -> float:
        with databases.scratch(self.stage.server, template=self.stage.network) as dsn:
            return measure(dsn)


def under_load(order: load.Order) -> load.Result:
    """Carry a measurement out in a process of its own.

    Raises:
        BenchError: an answer was not 201, or a connection was lost.
    """
    # by stdin: everyone sees a process's arguments
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, input=json.dumps(asdict(order)), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(f"{order.what}: {done.stderr.strip()}")
    return load.Result(**json.loads(done.stdout))
