"""What a command says when it cannot do what was asked: one sentence, and the exit code that goes with it."""

from enum import IntEnum

from crosswind.client.control_client import ControlError, ServerUnreachable, TokenRefused


class ExitCode(IntEnum):
    """How the commands end."""

    DONE = 0
    FAILED = 1  # the server refused, or what was waited for failed
    USAGE = 2  # the command line, or a file that it names, is wrong
    UNREACHABLE = 3  # the server cannot be reached, or refuses the token
    INTERRUPTED = 130  # Ctrl-C


class CommandError(Exception):
    """A command cannot go on. `str()` is one sentence that names the thing and the way out."""

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def usage_error(message: str) -> CommandError:
    """An error of the one who typed the command."""
    return CommandError(message, exit_code=ExitCode.USAGE)


def exit_code_of(error: ControlError) -> ExitCode:
    """The exit code for a call that failed."""
    unreachable = isinstance(error, ServerUnreachable | TokenRefused)
    return ExitCode.UNREACHABLE if unreachable else ExitCode.FAILED
