"""`python -m windvane` is the `windvane` command."""

from windvane.cli import main

if __name__ == "__main__":
    main()
