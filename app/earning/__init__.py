"""What earns points: the rules that turn business into lots."""
