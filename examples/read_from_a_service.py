"""Reading from a service: follow a channel, and return lists from whatever version is live.

    python examples/read_from_a_service.py                         # the default store, after a night
    python examples/read_from_a_service.py s3://bucket/prefix 148  # another store, and a user

Needs the base install only: `pip install nightreel` (with the extra `s3` for a store on S3). Where HTTP is enough,
`nightreel serve` is this, ready-made.
"""

from __future__ import annotations

import sys

from nightreel import LiveReader, Recommendation


class Recommendations:
    """What a web framework's handlers would call. One object for the whole process; it is safe to share."""

    def __init__(self, store: str | None) -> None:
        # Opens and verifies the live version now, and looks for a new one every 15 seconds in a thread of its own.
        self.live = LiveReader(store, every_s=15.0)

    def home(self, user: str, k: int = 10) -> list[Recommendation]:
        """A list for the home page. Unknown users get popular items, so no handler needs a fallback of its own."""
        reader = self.live.reader  # take it once for a request: a new version may take over at any time
        return reader.recommend(user, k=k, reasons=True)

    def because_you_watched(self, items: list[str], k: int = 10) -> list[Recommendation]:
        """A list for somebody who isn't logged in, from the items of this session, oldest first."""
        return self.live.reader.recommend(history=items, k=k)

    def healthy(self) -> bool:
        """For a health check: a refused version or an unreachable store is named in `fault`; lists still come."""
        return self.live.status.fault is None

    def close(self) -> None:
        """Stop following the channel."""
        self.live.close()


def main(store: str | None, user: str | None) -> None:
    """Print a known user's list, and one for a session that begins with its first item."""
    service = Recommendations(store)
    try:
        who = user or str(service.live.reader.user_ids[0])
        print(f"version {service.live.status.digest[:12]}, user {who}")
        found = service.home(who, k=5)
        for item in found:
            print(f"  {item.rank}. {item.title}  ({item.reasons[0].text if item.reasons else item.reason})")
        print(f"after {found[0].title}:")
        for item in service.because_you_watched([found[0].item_id], k=3):
            print(f"  {item.rank}. {item.title}")
        print("healthy" if service.healthy() else service.live.status.fault)
    finally:
        service.close()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], None, None]
    main(arguments[0], arguments[1])
