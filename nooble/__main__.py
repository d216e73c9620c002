"""`python -m nooble` is the command `nooble`."""

from nooble.cli.main import main

if __name__ == "__main__":
    main()
