"""docs/signals.md names every kind of signal, and settings that there are."""

import re
from pathlib import Path

from app.reports.signals_models import SignalKind
from app.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "signals.md").read_text(encoding="utf-8")


def test_the_page_names_the_kinds():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(SignalKind)


def test_the_settings_of_the_page_are_there():
    named = {name.lower() for name in re.findall(r"`CLUB_(\w+)`", PAGE)}
    assert named - set(Settings.model_fields) == set()
    assert {name for name in Settings.model_fields if name.startswith("signal_")} - named <= {
        "signal_month_end_percent", "signal_month_end_points",
    }  # fmt: skip
