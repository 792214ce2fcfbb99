"""Members, their vehicles and how they join."""
