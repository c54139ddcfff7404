"""`python -m distkeras ...` is `distkeras ...`."""

from distkeras.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
