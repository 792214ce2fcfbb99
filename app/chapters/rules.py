"""What a dealer code is: pure, no I/O."""

import re

_DEALER_CODE = re.compile(r"(?=.*[A-Z])(?=.*[0-9])[A-Z0-9]{2,16}")


def is_dealer_code(text: str) -> bool:
    """Capital letters and digits, some of each (BJ001); so it never reads as headquarters' own code."""
    return _DEALER_CODE.fullmatch(text) is not None
