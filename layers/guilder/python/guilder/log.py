"""Structured logs. On Lambda the runtime client writes them as JSON (the functions are deployed with the JSON log format) and adds time,
level and request id; what is passed as ``extra`` becomes members of the line.

Never log a body, a key, a token or a header: ids and codes say enough.
"""

import logging

logger = logging.getLogger("guilder")


def set_level(level: str) -> None:
    """Set the level of Guilder's own logger; libraries stay at WARNING."""
    logger.setLevel(level)
