"""``python -m kbackup`` is the command line."""

from kbackup.cli import main

if __name__ == "__main__":
    main()
