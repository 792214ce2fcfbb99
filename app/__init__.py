"""Owner-club loyalty and points service."""
