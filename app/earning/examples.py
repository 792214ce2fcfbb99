"""What is wrong with a rule as it is written: its expressions, or what they give for its examples. Pure, no I/O."""

from collections.abc import Iterator
from uuid import UUID

from app.core.problems import FieldError
from app.earning.definitions import Definition, Example
from app.earning.engine import Event, Rule, Verdict, evaluated, scope_of
from app.earning.expressions import ExpressionFault, compiled
from app.earning.triggers import DEALER, EVENT, MEMBER, Kind, Value, read

_NOBODY = UUID(int=0)
_EXPRESSIONS = {
    "condition": Kind.FLAG, "amount": Kind.NUMBER, "status_amount": Kind.NUMBER, "hold_for_review": Kind.FLAG,
}  # fmt: skip


def faults(definition: Definition, dealer_code: str | None, pointer: str = "") -> list[FieldError]:
    """What is wrong with a definition's expressions, or else with what it gives for its examples.

    Args:
        dealer_code: the chapter whose rule it is; its examples happen there unless they say otherwise.
        pointer: where the definition stands in the payload.
    """
    found = [FieldError(f"{pointer}/{name}", fault.code, fault.context) for name, fault in _unusable(definition)]
    if found:
        return found
    rule = Rule.of(0, _NOBODY, "this", {}, dealer_code, definition)
    return [
        fault
        for index, example in enumerate(definition.examples)
        for fault in _wrong(rule, example, f"{pointer}/examples/{index}")
    ]


def _unusable(definition: Definition) -> Iterator[tuple[str, ExpressionFault]]:
    for name, kind in _EXPRESSIONS.items():
        source = getattr(definition, name)
        try:
            if source is not None:
                compiled(source, definition.trigger, kind)
        except ExpressionFault as fault:
            yield name, fault


def _wrong(rule: Rule, example: Example, pointer: str) -> list[FieldError]:
    trigger = rule.definition.trigger
    parts = (
        ("event", EVENT[trigger], example.fields, "fields"),
        ("member", MEMBER, example.member, "member"),
        ("dealer", DEALER, {"code": rule.dealer_code or ""} | example.dealer, "dealer"),
    )
    values: dict[str, Value] = {}
    found: list[FieldError] = []
    for root, known, given, part in parts:
        good, bad = read(root, known, given, f"{pointer}/{part}")
        values |= good
        found += bad
    if found:
        return found
    place = str(values["dealer.code"]) or None
    return _differs(rule, Event(trigger, "example", _NOBODY, place, example.on, values), example.points, pointer)


def _differs(rule: Rule, event: Event, said: int, pointer: str) -> list[FieldError]:
    judged = evaluated(rule, event, scope_of([rule], event), lambda _segment, _member: True)
    if judged.verdict is Verdict.FAILED:
        return [FieldError(pointer, "rule_example_fails", {"reason": judged.reason})]
    applies = judged.verdict in {Verdict.GIVES, Verdict.HELD}
    factor = rule.definition.factor_percent
    given = (factor if applies else 100) if factor is not None else (judged.points if applies else 0)
    return [] if given == said else [FieldError(f"{pointer}/points", "rule_example_differs", {"given": given})]
