"""The tests' present."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
"""10:00 on 21 November 2026 in China."""
