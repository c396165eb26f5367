"""The public exception tree. What a model does wrong is evidence, never one of these."""

from typing import ClassVar


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
        one_line = " ".join(self.message.split())
        return f"{one_line}. Hint: {self.hint}" if self.hint else one_line


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


class ServerError(MlgateError):
    """The model server never became ready, exited, or hangs.

    Attributes:
        kind: `exited`, `oom`, `hang`, `load_failed` or `unreachable`.
        log: The server's last lines.
    """

    def __init__(self, message: str, *, kind: str, log: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.log = log


class LoadGeneratorError(MlgateError):
    """The load generator died or gave no samples."""


class EvidenceError(MlgateError):
    """Evidence that can not be read: not ours, another format, not canonical."""

    exit_code = 1


class LockedError(MlgateError):
    """Another process holds the lock."""

    exit_code = 6
