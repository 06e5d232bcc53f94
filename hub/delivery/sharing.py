"""Which worker serves which destination: each pair has a weight, the heaviest live worker wins (rendezvous hashing). Pure.

When a worker comes or goes only its own share moves. The lease, not this, keeps two workers apart.
"""

from collections.abc import Collection
from hashlib import blake2b
from uuid import UUID


def winner(party: str, workers: Collection[UUID]) -> UUID | None:
    """The worker that should serve `party`; None when no worker lives."""
    return max(workers, key=lambda worker: blake2b(worker.bytes + party.encode(), digest_size=8).digest(), default=None)
