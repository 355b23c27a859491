"""``python -m lipschitz``: the same as the ``lipschitz`` command."""

from lipschitz.cli import main

if __name__ == "__main__":
    main()
