"""Points spent at a dealer's counter, confirmed by the member."""
