"""A whole database at one moment, beside whoever writes it; and its way back (backups).

Both servers read it as of one moment: a ``mongod`` in a snapshot session, which it keeps for five
minutes, and the embedded server in one transaction, for there a snapshot session is one moment for
each collection alone; it ends a transaction that idles for a minute, and none that reads on.
Documents stay as they are on the wire.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import nullcontext
from typing import Final, cast

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from core.adapters.mongo._errors import mapped
from core.adapters.mongo.store import MongoStore, ServerKind

__all__ = ["insert_raw", "read_whole"]

_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
_BATCH: Final = 500
_BYTES: Final = 1024 * 1024


async def read_whole(
    store: MongoStore, collections: Sequence[str]
) -> AsyncGenerator[tuple[str, list[RawBSONDocument]]]:
    """Yield every document of collections as of one moment, some at a time.

    Raises:
        StoreError: The server refused or went away; what was read is of no use.
    """
    is_embedded = store.server_kind() is ServerKind.EMBEDDED
    start = store.database.client.start_session
    try:
        async with (
            start(causal_consistency=False) if is_embedded else start(snapshot=True) as session,
            await session.start_transaction() if is_embedded else nullcontext(),
        ):
            async for part in _parts(store, collections, session):
                yield part
    except PyMongoError as error:
        raise mapped(error) from error


async def _parts(
    store: MongoStore, collections: Sequence[str], session: AsyncClientSession
) -> AsyncGenerator[tuple[str, list[RawBSONDocument]]]:
    for name in collections:
        target = store.database.get_collection(name, codec_options=_RAW)
        some: list[RawBSONDocument] = []
        size = 0
        async for found in target.find({}, batch_size=_BATCH, session=session):
            document = cast("RawBSONDocument", found)
            some.append(document)
            size += len(document.raw)
            if len(some) >= _BATCH or size >= _BYTES:
                yield name, some
                some, size = [], 0
        if some:
            yield name, some


async def insert_raw(
    store: MongoStore, collection: str, documents: Sequence[RawBSONDocument]
) -> None:
    """Insert documents as they are.

    Raises:
        StoreError: The server refused or went away.
    """
    try:
        target = store.database.get_collection(collection, codec_options=_RAW)
        await target.insert_many(list(documents))
    except PyMongoError as error:
        raise mapped(error) from error
