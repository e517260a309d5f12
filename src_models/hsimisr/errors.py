"""The one family of errors a user can meet: each says what is wrong, with which file or knob, and what to do."""

from __future__ import annotations


class HsimisrError(Exception):
    """Base of every error that is the data's or the request's fault, not a bug."""


class ReadError(HsimisrError):
    """A file is damaged, unsupported or does not hold a cube."""


class WriteError(HsimisrError):
    """A cube cannot be saved as asked."""


class StackError(HsimisrError):
    """Frames do not belong together: other bands, other wavelengths, no overlap."""


class ConfigError(HsimisrError):
    """A knob has a value that cannot work."""


class MemoryLimitError(HsimisrError):
    """A job needs more memory than there is, even with the smallest tiles."""


class Cancelled(HsimisrError):
    """The job was asked to stop."""

    def __init__(self) -> None:
        super().__init__("cancelled")
