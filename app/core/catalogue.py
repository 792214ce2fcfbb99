"""What users read, by key and language: Chinese first, English second. The texts stand in zh.toml and en.toml."""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

from app.core.clock import CHINA


class Language(StrEnum):
    """Languages of the catalogue; the first is the default."""

    ZH = "zh"
    EN = "en"


@cache
def texts(language: Language) -> Mapping[str, str]:
    """All texts of a language under dotted keys."""
    tree = tomllib.loads((Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8"))
    return dict(_flat(tree, ""))


def _flat(tree: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            pairs.extend(_flat(value, f"{prefix}{key}."))
        else:
            pairs.append((prefix + key, str(value)))
    return pairs


class Phrase(str):
    """A text that is a figure of others: by itself it is English, in another text it is of that one's language."""

    key: str
    context: Mapping[str, object]

    def __new__(cls, key: str, **context: object) -> Self:
        phrase = super().__new__(cls, text(Language.EN, key, context))
        phrase.key, phrase.context = key, context
        return phrase

    def said(self, language: Language) -> str:
        """The text in a language."""
        return text(language, self.key, self.context)


def text(language: Language, key: str, context: Mapping[str, object]) -> str:
    """The text under `key` with its figures filled in; `{x_yuan}` is the figure `x_fen` in yuan."""
    said = {name: _said(language, value) for name, value in context.items()}
    money = {
        name[:-4] + "_yuan": yuan(fen) for name, fen in context.items() if name.endswith("_fen") and type(fen) is int
    }
    return texts(language)[key].format_map(said | money)


def _said(language: Language, value: object) -> object:
    match value:
        case Phrase():
            return value.said(language)
        case datetime():
            return f"{value.astimezone(CHINA):%Y-%m-%d %H:%M}" + (" (China)" if language is Language.EN else "")
        case StrEnum():
            return texts(language).get(f"{_section(type(value))}.{value}", str(value))
        case list() | tuple():
            return ("、" if language is Language.ZH else ", ").join(map(str, value))
    return value


@cache
def _section(words: type[StrEnum]) -> str:
    """Where the words of an enumeration stand, if anywhere: `event_kind` those of `EventKind`."""
    return re.sub(r"\B(?=[A-Z])", "_", words.__name__).lower()


def yuan(fen: int) -> str:
    """An amount for people: yuan with two decimals."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def preferred(accept_language: str) -> Language:
    """The best of our languages for an Accept-Language header (RFC 9110, 12.5.4)."""
    best, best_quality = Language.ZH, 0.0
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().partition(";")
        primary = tag.strip().partition("-")[0].lower()
        if primary not in set(Language):
            continue
        quality = _quality(parameter)
        if quality > best_quality:
            best, best_quality = Language(primary), quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
