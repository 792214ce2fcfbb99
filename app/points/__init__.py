"""The points ledger: wallets, lots, postings, periods."""
