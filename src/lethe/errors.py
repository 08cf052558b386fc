"""The two errors that are the user's to mend; everything else is a bug and shows its traceback."""


class InputError(ValueError):
    """Bad data, model or file: the message names file, row or key, and what to do."""


class ConfigError(ValueError):
    """Bad configuration: the message names the key and the fix."""
