"""What the dealers' systems send: repair orders and their imports."""
