"""The errors that a user sees as one message, without a traceback."""


class UserError(Exception):
    """Something the user can correct. The message says what was wrong, where, and what to do."""


class TemporaryError(UserError):
    """A transient failure of a network or a server. Retrying may help; the nightly flow retries."""
