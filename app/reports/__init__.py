"""Figures across domains: read only, but for the month-ends they freeze."""
