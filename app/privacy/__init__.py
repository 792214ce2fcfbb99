"""What the law gives members: consent, their own data, correction, erasure; and how long records are kept."""
