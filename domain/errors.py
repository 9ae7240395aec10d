"""The one tree of errors, split by what the reader of the message can do next.

    BulkSenderError
    ├─ FileProblem          the operator's file cannot be used: mend the file
    ├─ DefinitionProblem    a process definition cannot be used: mend the YAML
    ├─ NotFound             nothing has that id or key: look it up
    ├─ NotAllowed           the thing exists, the act does not fit its state: nothing was changed
    ├─ Forbidden            this person may not do it: ask one who may
    │  └─ TooManyTries      not now: come back later
    ├─ SettingsProblem      a setting is missing or wrong: mend the environment
    └─ ServiceMissing       a server this needs does not answer: start it

Every message names the thing, the value and the next step, and never holds a
recipient's address, name, token or text.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum


class BulkSenderError(Exception):
    """Anything the product refuses in words meant for a person."""


class FileErrorCode(StrEnum):
    """Why a whole file was refused; the `code` of `file_error` in `batch check --json`."""

    NOT_CSV_OR_EXCEL = "not_csv_or_excel"
    """The content is neither text with separators nor a workbook."""
    EMPTY = "empty"
    """There is no row below the header, or nothing at all."""
    DIFFERENT_PROCESS = "different_process"
    """The columns belong to another process."""
    UNREADABLE = "unreadable"
    """It looks like the right format, and reading it fails or would be a guess."""
    TOO_LARGE = "too_large"
    """More bytes, rows, columns, memory or time than the limits allow."""
    ENCRYPTED = "encrypted"
    """A password protects the workbook."""


class FileProblem(BulkSenderError):
    """A recipient file that cannot be used as a whole.

    Attributes:
        code: one of `FileErrorCode`.
    """

    def __init__(self, code: FileErrorCode, message: str) -> None:
        """Keep the code for programs beside the sentence for people."""
        super().__init__(message)
        self.code = code


class DefinitionProblem(BulkSenderError):
    """A process definition that cannot be deployed; the message names the line."""


class NotFound(BulkSenderError):
    """No batch, process or file has the id, key or path that was given."""


class NotAllowed(BulkSenderError):
    """The act does not fit the state of the thing; nothing was changed."""


class Forbidden(BulkSenderError):
    """The person may not do that, or did not show who they are; nothing was changed."""


class TooManyTries(Forbidden):
    """Something secret was tried too often.

    Attributes:
        until: when it may be tried again.
    """

    def __init__(self, message: str, *, until: datetime) -> None:
        """Keep the time for programs beside the sentence for people."""
        super().__init__(message)
        self.until = until


class SettingsProblem(BulkSenderError):
    """A setting is missing, half given or not usable."""


class ServiceMissing(BulkSenderError):
    """A server that this command needs does not answer."""
