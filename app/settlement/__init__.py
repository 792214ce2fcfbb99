"""Contracts, monthly statements and disputes between headquarters and dealers."""
