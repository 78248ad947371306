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


EXTRAS = {
    "s3": ("boto3", "botocore"),
    "service": ("fastapi", "starlette", "uvicorn", "prometheus_client"),
    "media": ("av", "faster_whisper", "efficientnet_lite_pytorch"),
    "docs": ("mkdocs",),
}
"""Modules of the extras that a command names; those of all others come with `pipeline`."""


def missing_extra(error: ModuleNotFoundError, what: str) -> UserError:
    """The error for a module that is not installed: what needs it, and the extra that brings it.

    Args:
        error: What the import raised.
        what: What needs the module.

    Returns:
        The error to raise.

    Raises:
        ModuleNotFoundError: The module is one of Nightreel's own, so that nothing is missing but code.

    Example:
        >>> print(missing_extra(ModuleNotFoundError(name="boto3.session"), "a store on S3"))
        a store on S3 needs boto3, which is not installed. Install it: pip install 'nightreel[s3]'
    """
    module = (error.name or "").partition(".")[0]
    if not module or module in ("nightreel", "tasks", "flows"):
        raise error
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), "pipeline")
    return UserError(f"{what} needs {module}, which is not installed. Install it: pip install 'nightreel[{extra}]'")
