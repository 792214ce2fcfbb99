"""Club events: from a chapter's proposal to the settled report."""
