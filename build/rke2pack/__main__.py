"""``python -m rke2pack``."""

from rke2pack.cli import main

if __name__ == "__main__":
    main()
