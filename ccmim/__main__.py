"""``python -m ccmim``: the same as the ``ccmim`` command."""

import sys

from ccmim.apps.cli import main

if __name__ == '__main__':
    sys.exit(main())
