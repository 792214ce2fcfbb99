"""Who did what to which record, when and from where. Recorded once, never changed."""
