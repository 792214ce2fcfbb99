"""The network: regions, dealers, chapters and their staff."""
