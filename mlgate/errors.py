"""The public exception tree. What a model does wrong is evidence, never one of these."""

from enum import StrEnum
from typing import ClassVar


def one_line(text: str) -> str:
    """Return *text* on one line and printable: a model's own words must neither clear a terminal nor forge a second line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return *text* with what is not printable, a line's end too, as its code in hex; its spaces stay."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


class MlgateError(Exception):
    """Something mlgate can not do, said in one line.

    Args:
        message: What, measured against which limit. Lower case, no full stop needed.
        hint: What to do next; printed after "Hint:".

    Attributes:
        exit_code: Exit status of the `mlgate` command (design: 2 usage, 3 could not act, 6 locked).
        pytest_exit_code: Exit status of `pytest --mlgate` for the same error.
    """

    exit_code: ClassVar[int] = 3
    pytest_exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        line = one_line(self.message)
        return f"{line}. Hint: {one_line(self.hint)}" if self.hint else line


class ConfigError(MlgateError):
    """An option, a URI or the policy is wrong: nothing was started."""

    exit_code = 2
    pytest_exit_code = 4


class UriError(ConfigError):
    """Not a model URI, or one that names nothing."""


class ModelNotFound(UriError):
    """The registry answered, and has no such model, version, alias or run."""


class PolicyError(ConfigError):
    """The policy can not be read, or asks for something that can not be decided."""


class DataError(ConfigError):
    """The evaluation data can not be read, or lacks a column that the policy names."""


class OutputError(ConfigError):
    """The output directory can not be written."""


class ModelDirectoryError(ConfigError):
    """A model directory that can not be read safely: no `MLmodel`, a path that leaves the tree, …."""


class RegistryError(MlgateError):
    """The registry is unreachable, or answers what no registry answers."""


class CapabilityError(RegistryError):
    """The registry answers, and has no place for what was asked."""


class EngineError(MlgateError):
    """The container engine is unreachable, refuses, or lacks the base image."""


class InstallError(MlgateError):
    """The version's environment can not be installed: a failed version, not a failed run.

    Attributes:
        log: The installer's last lines.
    """

    def __init__(self, message: str, *, log: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class FailureKind(StrEnum):
    """What became of a model server: the whole list. Evidence carries it as `details.kind`."""

    LOAD_FAILED = "load_failed"  # the model raised while it was loaded, and the server said so
    EXITED = "exited"  # an exit status nobody asked for
    SIGNAL = "signal"  # killed, and not for memory
    OOM = "oom"  # the server itself was killed for memory
    OOM_WORKER = "oom_worker"  # a process of it was killed for memory, and it lived on
    HANG_AT_LOAD = "hang_at_load"
    HANG_AT_PREDICT = "hang_at_predict"
    ERROR_STATUS = "error_status"  # it listens, and answers 5xx
    NO_LISTENER = "no_listener"  # it runs, and nobody ever listens where it should
    WRONG_FIRST_PREDICTION = "wrong_first_prediction"
    CONNECTION_LOST = "connection_lost"  # it runs, and closes connections without an answer
    GONE = "gone"  # stopped, never started, or the engine lost it


class ServerError(MlgateError):
    """The model server never became ready, exited, or hangs.

    Attributes:
        kind: How.
        log: The server's last lines.
    """

    def __init__(self, message: str, *, kind: FailureKind, log: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.log = log


class LoadGeneratorError(MlgateError):
    """The load generator died or gave no samples."""


class EvidenceError(MlgateError):
    """Evidence that can not be read: not ours, another format, not canonical."""

    exit_code = 1


class WebhookRefused(MlgateError):
    """A webhook that is forged, unsigned where a secret is set, or too old."""

    exit_code = 1


class LockedError(MlgateError):
    """Another process holds the lock."""

    exit_code = 6
