"""Command line of the config: print the schema, check files."""

import sys

from lethe.config import __doc__ as usage
from lethe.config import json_schema, load_file

match sys.argv[1:]:
    case ["schema"]:
        print(json_schema(), end="")
    case ["check", *paths] if paths:
        for path in paths:
            print(f"{path}: study '{load_file(path).study}' is valid")
    case _:
        sys.exit(usage)
