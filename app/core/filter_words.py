"""Filters in words: what `filters` reads, as a person would say it, in the languages of the catalogue."""

from datetime import date

from app.core.catalogue import Language, text, texts
from app.core.filters import Condition, Field, Group, Kind, Node, Not, Op, Single, Value
from app.core.relative_dates import Relative


def explained(node: Node, language: Language) -> str:
    """The filter as a person would say it."""
    match node:
        case Condition(known, op, value):
            return _said(known, op, value, language)
        case Not(part):
            return text(language, "filter.not", {"part": explained(part, language)})
        case Group(word, parts):
            said = [_enclosed(part, language) for part in parts]
            return text(language, f"filter.{word}", {}).join(said)


def _enclosed(part: Node, language: Language) -> str:
    said = explained(part, language)
    is_several = isinstance(part, Group) and len(part.parts) > 1
    return f"({said})" if is_several else said


def _said(known: Field, op: Op, value: Value, language: Language) -> str:
    values = value if isinstance(value, tuple) else (value,)
    words = [_value_said(known, one, language) for one in values if one is not None]
    key = f"filter.op.{known.kind}.{op}"
    if key not in texts(language):
        key = f"filter.op.{op}"
    listed = text(language, "filter.or_list", {}).join(words)
    ends = {"from": "".join(words[:1]), "to": "".join(words[-1:])}
    return text(language, key, {"field": known.label(language), "value": listed} | ends)


def _value_said(known: Field, value: Single, language: Language) -> str:
    match value:
        case bool():
            return text(language, f"filter.bool.{str(value).lower()}", {})
        case Relative(_, 0):
            return text(language, "filter.relative.today", {})
        case Relative(unit, steps):
            return text(language, f"filter.relative.{unit}", {"steps": steps})
        case date():
            return value.isoformat()
        case int() if known.kind is Kind.MONEY:
            yuan, fen = divmod(abs(value), 100)
            return text(language, "filter.money", {"yuan": f"{'-' * (value < 0)}{yuan:,}.{fen:02d}"})
        case int():
            return f"{value:,}"
        case str() if known.kind is Kind.CHOICE:
            return known.choice_label(value, language)
    return f"“{value}”"
