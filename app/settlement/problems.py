"""What settlement can refuse."""

from datetime import date

from app.core.problems import Problem


class _PeriodProblem(Problem):
    def __init__(self, period: date, **members: str) -> None:
        super().__init__(errors=(), period=f"{period:%Y-%m}", **members)


class PeriodNotEnded(_PeriodProblem):
    """The month has not ended in China."""

    status, type = 409, "period-not-ended"


class PeriodBeforeFirst(_PeriodProblem):
    """The month lies before the first of the books; it was closed before they began."""

    status, type = 409, "period-before-first"


class PeriodGap(_PeriodProblem):
    """An earlier month is still open; months are closed in order."""

    status, type = 409, "period-gap"

    def __init__(self, period: date, first_open: date) -> None:
        super().__init__(period, first_open=f"{first_open:%Y-%m}")


class NoContract(Problem):
    """A dealer has no contract, of its own or general, in force on a day that needs one."""

    status, type = 409, "no-contract"

    def __init__(self, dealer_code: str) -> None:
        super().__init__(dealer_code=dealer_code)


class ContractTooEarly(Problem):
    """The contract would start in or before a sealed month, which must recompute the same for ever."""

    status, type = 409, "contract-too-early"

    def __init__(self, earliest: date) -> None:
        super().__init__(earliest=earliest)


class ContractExists(Problem):
    """The dealer has a contract that starts on this day; contracts are never changed."""

    status, type = 409, "contract-exists"
