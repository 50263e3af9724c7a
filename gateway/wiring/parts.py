"""Parts that more than one process is built from: the log with its writer, the catalogue, what this host is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

from gateway.audit.checkpoint import CheckpointSigner
from gateway.audit.committer import BatchSealer, Committer, CommitterMetrics, Pace
from gateway.audit.note import NoteSigner
from gateway.audit.sealing import CheckpointSealer
from gateway.base.clock import Millis, utc_day
from gateway.base.crypto import Ed25519Signer
from gateway.base.host_keys import HostKeys
from gateway.base.sealing import Sealer
from gateway.base.secret import Secret
from gateway.base.settings import Settings
from gateway.credit.catalogue import Catalogue, load_catalogue
from gateway.postgres.log_store import PostgresLogStore
from gateway.postgres.pool import COMMITTER_SETTINGS, Connection, Target, connect
from gateway.postgres.queries import Queries
from gateway.verification.ledger import Names

PARTITION_DAYS: Final = 7
SEALING_KEY: Final = 1
"""The number of the first sealing key; a second one gets the next number."""
BLIND_INDEX_EPOCH: Final = 1


def names(settings: Settings) -> Names:
    """Return what this host is called in the log."""
    return Names(origin=settings.log_origin, gateway=settings.host_name)


def make_sealer(keys: HostKeys) -> Sealer:
    """Return the sealer of stored plaintext."""
    return Sealer({SEALING_KEY: keys.sealing}, current=SEALING_KEY)


def make_checkpoint_sealer(settings: Settings, keys: HostKeys) -> CheckpointSealer:
    """Return the signer of this host's checkpoints."""
    return CheckpointSealer(make_checkpoint_signer(settings, keys))


def make_checkpoint_signer(settings: Settings, keys: HostKeys) -> CheckpointSigner:
    """Return this host's log key, named after the log's origin."""
    return CheckpointSigner(NoteSigner(settings.log_origin, Ed25519Signer(keys.log_signing)))


@asynccontextmanager
async def running_committer(
    settings: Settings, dsn: Secret, sealer: BatchSealer, metrics: CommitterMetrics, *, process: str
) -> AsyncIterator[Committer]:
    """Run the audit commit for the length of a block; what is queued at its end is still committed.

    If the writer task fails, the block is cancelled: a process that cannot commit must not go on answering.
    """
    target = Target(dsn=dsn, application_name=f"credit-gateway {process} log", settings=COMMITTER_SETTINGS)
    store = PostgresLogStore(lambda: connect(target), Queries.load("audit"), log_id=settings.log_id)
    writer = f"{settings.host_name}/{process}"
    committer = Committer(store, sealer, metrics, writer=writer, pace=Pace(queue_limit=settings.commit_queue))
    owner = asyncio.current_task()
    writing = asyncio.create_task(committer.run(), name="audit-commit")

    def end_owner(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and owner is not None:
            owner.cancel()

    writing.add_done_callback(end_owner)
    try:
        yield committer
    finally:
        committer.close()
        try:
            await writing  # a TaskGroup would wrap what the block itself raises
        finally:
            await store.close()


async def make_partitions(connection: Connection, queries: Queries, now: Millis) -> None:
    """Make sure that the log has partitions for the coming days: a missing one would abort a commit."""
    await connection.execute(queries["ensure_partitions"], utc_day(now // 1000), PARTITION_DAYS)


def read_catalogue() -> Catalogue:
    """Read the catalogue that was installed with the program, or that of the source tree."""
    return load_catalogue(_catalogue_files())


def _catalogue_files() -> Mapping[str, bytes]:
    packaged = files("gateway").joinpath("schemas", "catalogue")
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "schemas" / "catalogue"
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith(".json")}
