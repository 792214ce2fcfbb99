"""Partners: their perks, the vouchers that carry them, and what each party gains."""
