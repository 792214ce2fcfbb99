"""What every domain shares: database, problems, actors, clock, money."""
