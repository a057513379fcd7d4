"""``python -m landmarkzoo``."""

import sys

from landmarkzoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
