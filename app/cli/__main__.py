"""`python -m app.cli` is `club`."""

from app.cli import main

if __name__ == "__main__":
    main()
