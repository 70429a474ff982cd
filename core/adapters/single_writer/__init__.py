"""The store of the one process that writes: its state in memory, its commits in groups.

``SingleWriterStore`` stands over any store of the port. Before the lease is taken, and in processes
that never take it, every call goes through. From then on reads are answered from memory, and
transactions that are ready at the same moment are committed as one
(docs/decisions/0022-single-writer.md).
"""

from core.adapters.single_writer.store import SingleWriterStore

__all__ = ["SingleWriterStore"]
