"""Run the command ``lipschitz``, also as ``python -m lipschitz``; a signal during its imports is one line."""

from lipschitz.signals import stopping_at_once


def main() -> None:
    """Run the command line."""
    with stopping_at_once():
        from lipschitz import cli

        cli.main()


if __name__ == "__main__":
    main()
