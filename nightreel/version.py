"""The version of Nightreel: what `nightreel --version` prints and the wheel is called."""

__version__ = "0.2.0"
