"""A timeline's entries as a person reads them."""

from typing import Any

from app.core.catalogue import Language, text, texts
from app.members.timeline import Happening


def told(one: Happening, language: Language) -> str:
    """What happened, in words: its facts in the catalogue's text."""
    facts = {name: _said(value, language) for name, value in one.facts.items()}
    return text(language, f"timeline.{one.source}.{one.kind}", facts).strip(" :：·")


def _said(value: Any, language: Language) -> str:
    if value is None:
        return ""
    # a word of ours is said in the reader's language, everything else as it is
    return texts(language).get(f"export.is_{value}", str(value))
