"""Commands that all take --full: they work on the full-size network, a database of its own on the same server."""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

FULL_DATABASE = "club_full"
on_full_network: ContextVar[bool] = ContextVar("on_full_network", default=False)
"""Whether the command under way was given --full."""

Full = Annotated[bool, typer.Option("--full", help=f"the full-size network: database {FULL_DATABASE}")]
Function = TypeVar("Function", bound=Callable[..., Any])


class Commands(typer.Typer):
    """A group of such commands; those in a group within it have to be of such a group too."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """Register a command; the function itself stays as it is."""
        register = super().command(name, **options)

        def take(function: Function) -> Function:
            register(_choosing(function))
            return function

        return take


def _choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def chosen(*args: Any, full: bool, **options: Any) -> Any:
        on_full_network.set(full)
        return function(*args, **options)

    signature = inspect.signature(function)
    option = inspect.Parameter("full", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Full)
    chosen.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    return chosen
