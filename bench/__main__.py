"""`python -m bench` is `club bench`."""

import sys

from app.cli import main

sys.argv[1:1] = ["bench"]
main()
