"""One tree of errors: raised where the cause is known, caught once by the command line (exit 2) or a node (FAILURE)."""


class BmError(Exception):
    """Base of every error a user can cause. The message is one line: where, what, the limit, the remedy."""


class ClipError(BmError):
    """A motion file that cannot be used."""


class BundleError(BmError):
    """A policy bundle that cannot be trusted."""


class ConfigError(BmError):
    """A setting that makes no sense."""


class RobotError(BmError):
    """A robot, real or simulated, that cannot be reached or is not the one expected."""


def one_line(error: Exception) -> str:
    """What an error says, for a message of one line; its class if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
