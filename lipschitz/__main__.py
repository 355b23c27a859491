"""Run the command ``lipschitz`` as ``python -m lipschitz``."""

from lipschitz.cli import main

if __name__ == "__main__":
    main()
