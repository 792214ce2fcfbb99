"""Accounts, sign-in and tokens: who is calling."""
