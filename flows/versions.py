"""Deployed flows on published versions: withdraw, rollback, collect garbage. Each does what its command does."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.beginning import PATIENCE_S, reported
from nightreel.errors import UserError
from nightreel.orchestration.project import Project


@flow(name="withdraw", persist_result=False)
def withdraw(file: str = "", items: list[str] = [], allow_unmatched: bool = False) -> State[None]:  # noqa: B006
    """Hide items and erase users in every channel, at once. No night is needed, and no later night brings them back.

    Users are named in a file alone, because Prefect keeps what is entered here.

    Args:
        file: A table on this machine with item_id, user_id, or both: Parquet, CSV or JSON Lines.
        items: Item ids, one per entry, besides the file or instead of it.
        allow_unmatched: Withdraw ids that match nothing, too, for later versions. Otherwise they are an error, while
            the others are withdrawn.
    """

    def work(project: Project) -> str:
        from nightreel.cli.versions import withdrawn_ids
        from nightreel.cli.versions.withdraw import in_words
        from nightreel.store.open import open_store

        of_file = withdrawn_ids.named(Path(file), None, None) if file or not items else withdrawn_ids.Named((), ())
        named = withdrawn_ids.Named((*of_file.items, *items), of_file.users)
        store, nothing = open_store(), withdrawn_ids.Named((), ())
        unmatched = nothing if allow_unmatched else withdrawn_ids.unmatched(store, None, named)
        known = named.without(unmatched)
        done = withdrawn_ids.withdraw(store, None, known) if known else []
        lines = [in_words(each, "withdrawn") for each in done]
        if unmatched:
            raise UserError(
                f"{len(unmatched.items):,} items and {len(unmatched.users):,} users match nothing, so they were not "
                f"withdrawn: look for them with `nightreel withdraw`. {'. '.join(lines)}"
            )
        return "\n".join(lines)

    return reported(work)


@flow(name="rollback", persist_result=False)
def rollback(version: str = "", channel: str = "live") -> State[None]:
    """Point a channel back to an earlier version, and block runs from promoting the one it leaves.

    Args:
        version: The version to go back to, or its first characters. Empty: the predecessor of what is live.
        channel: The channel.
    """

    def work(project: Project) -> str:
        from nightreel.store import channels
        from nightreel.store.open import open_store

        left, live = channels.rollback(open_store(), channel, version.strip() or None)
        return (
            f"channel {channel}: {left[:12]} → {live[:12]}\nThe recipe of {left[:12]} is blocked; `nightreel release "
            f"{left[:12]}` lifts the block."
        )

    return reported(work)


@flow(name="collect-garbage", persist_result=False)
def collect_garbage(versions: int | None = None, days: float | None = None, dry_run: bool = False) -> State[None]:
    """Remove versions and nights beyond the retention. What is live, and what makes it again, always stays.

    Args:
        versions: Keep the newest so many. Empty: publish.keep_versions of params.yaml.
        days: Keep what is younger than so many days. Empty: publish.keep_days of params.yaml.
        dry_run: Show what would be removed; remove nothing.
    """

    def work(project: Project) -> str:
        from nightreel.orchestration.garbage import collect, retention_of
        from nightreel.orchestration.lock import exclusive
        from nightreel.store.fence import run_lock
        from nightreel.store.open import open_store

        log = get_run_logger()
        with exclusive(run_lock(project.state), "a run", patience=PATIENCE_S, waiting=log.info):
            done = collect(project, open_store(), retention_of(versions, days), dry_run=dry_run)
        return "\n".join(reversed(list(done.lines())))

    return reported(work)
