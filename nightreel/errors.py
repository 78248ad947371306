"""Errors that are shown to users as one message, without a traceback."""


class UserError(Exception):
    """An error that the user can correct. The message says what was wrong, where, and what to do.

    Base class of all errors that Nightreel raises on purpose, such as StoreError and BundleError.

    Example:
        >>> try:
        ...     raise UserError("k is 0. Give 1 or more.")
        ... except UserError as error:
        ...     print(f"error: {error}")
        error: k is 0. Give 1 or more.
    """


class TemporaryError(UserError):
    """A transient failure of a network or a server. Retrying may help; the nightly flow retries."""
