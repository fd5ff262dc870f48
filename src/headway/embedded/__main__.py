from __future__ import annotations

import sys

from headway.embedded.keeper import main

sys.exit(main(sys.argv[1:]))
