"""The ledger against its model: any sequence of operations, invariants after each, every check at the end."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.points.machine import LedgerMachine
from tests.points.observed import Books


@pytest.fixture(scope="module")
def books(dsn: str) -> Iterator[Books]:
    opened = Books(dsn)
    yield opened
    opened.close()


def test_the_ledger_behaves_as_its_model(books: Books) -> None:
    class Machine(LedgerMachine):
        pass

    Machine.books = books
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=120,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
