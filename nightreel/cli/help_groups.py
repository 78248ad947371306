"""The groups of commands in `nightreel --help`, in the order in which they are listed."""

from __future__ import annotations

RUN, ASK, VERSIONS, SERVE, OPERATE = GROUPS = ("Run", "Ask", "Versions", "Serve", "Operate")
