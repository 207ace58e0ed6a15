"""What cannot be done about what the page keeps."""

from __future__ import annotations


class UserError(Exception):
    """A request about users that cannot be done; ``key`` names the text in the catalogue."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
