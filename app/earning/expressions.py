"""The expressions of rules: CEL behind one small door. Source: docs/rules.md, docs/adr/0011-rules-in-cel.md.

The library parses and evaluates; it takes unknown names and mixed types without complaint until it meets them, so
`checking` reads each expression first.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

import cel

from app.earning import checking
from app.earning.checking import ExpressionFault
from app.earning.triggers import Kind, Trigger, Value, fields

__all__ = ["EvaluationError", "Expression", "ExpressionFault", "Scope", "Scopes", "compiled"]

Scope = cel.Context
"""Values made ready once for any number of expressions: making it ready is what costs."""


class EvaluationError(Exception):
    """An expression has no value for these inputs; the text says why, in English."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. `names` are the fields it asks for, such as `event.paid_fen`."""

    source: str
    kind: Kind
    names: frozenset[str]
    _program: cel.Program = field(repr=False, compare=False)

    def value(self, scope: Scope) -> int | bool:
        """The value for a scope that has all of `names`.

        Raises:
            EvaluationError: a division by zero, or a number beyond 64 bits.
        """
        try:
            result = self._program.execute(scope)
        except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise EvaluationError(f"{self.source}: {error}") from None
        assert isinstance(result, bool if self.kind is Kind.FLAG else int), self.source
        return result


class Scopes:
    """Scopes for expressions that ask for the same fields, one after another: each holds until the next is made.

    The library takes four times as long over a text as over a number, and the same few texts come again and again:
    scopes are kept by their texts, and only their numbers renewed.
    """

    def __init__(self, trigger: Trigger, names: Collection[str]) -> None:
        """Args: names: fields of the trigger; leave out what nobody asks for."""
        known = fields(trigger)
        self._texts = [name for name in names if known[name].kind in (Kind.TEXT, Kind.DATE)]
        self._others = [(_flat(name), name) for name in names if name not in self._texts]
        self.asks_day = any(name.startswith("on.") for name in names)
        self._kept = lru_cache(maxsize=1024)(self._with)

    def next(self, values: Mapping[str, Value]) -> Scope:
        """A scope of these values, which may be more than are asked for."""
        scope = self._kept(*[values[name] for name in self._texts])
        scope.update({flat: values[name] for flat, name in self._others})
        return scope

    def _with(self, *texts: Value) -> Scope:
        return cel.Context({_flat(name): text for name, text in zip(self._texts, texts, strict=True)})


@lru_cache(maxsize=4096)
def compiled(source: str, trigger: Trigger, kind: Kind) -> Expression:
    """An expression of a rule for a trigger, which has to give a number or a flag.

    Raises:
        ExpressionFault: it cannot be read, names a field that the trigger does not have, or mixes kinds.
    """
    checked = checking.checked(source, fields(trigger), kind)
    try:
        program = cel.compile(checked.rewritten(_flat))
    except ValueError:
        # what the library reads otherwise than we do is not for rules
        raise ExpressionFault("expression_unreadable", at=1, found=source[:20]) from None
    return Expression(source, kind, checked.names, program)


@cache
def _flat(name: str) -> str:
    # one variable for each field, not one map for each root: converting whole maps took ten times as long
    return name.replace(".", "_")
