"""Many commands of one transaction to a server in one go, and their answers.

A server takes the messages of a connection one after another, so the next need not wait for the
answer to the one before: seven commands cost one wait in place of seven, and a third of the CPU,
because the driver makes three tasks for each command that it sends by itself. What fails ends the
transaction, which the server then says to each later command as well; none of them is a commit, and
whoever commits has seen all the answers.

The driver has no public way to do so. Names of its inside are used here and nowhere else; its exact
version is locked, and the contract tests of transactions run over it on both servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from pymongo import ReadPreference, message
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.asynchronous.pool import AsyncConnection
from pymongo.client_session_shared import _TxnState
from pymongo.errors import BulkWriteError
from pymongo.helpers_shared import _check_command_response, _raise_write_concern_error
from pymongo.write_concern import WriteConcern

from core.adapters.mongo.codec import CODEC
from core.ports.store import Document, parts

__all__ = ["commit_once", "send_together"]

_TOGETHER = 24
"""Commands on their way at once: an answer has some 300 bytes, and nobody reads while we write."""


async def send_together(
    database: AsyncDatabase[Document],
    session: AsyncClientSession,
    commands: Sequence[Document],
    answers: list[Document],
) -> None:
    """Send commands of the session's transaction, in order, and wait for all answers.

    Args:
        database: Where they are carried out.
        session: In a transaction that has begun, or begins with the first of them.
        commands: With the command's name as first key.
        answers: Gets the answer to each command, up to the first that failed.

    Raises:
        PyMongoError: The first command that failed failed so, or the connection broke: what became
            of the commands without an answer is then not known.
    """
    client = database.client
    async with await client._conn_for_writes(session, "update") as connection:  # noqa: SLF001
        for some in parts(commands, _TOGETHER):
            try:
                found = await _round(database, session, connection, some)
            except BaseException as error:  # noqa: BLE001 - raised by the driver, as it does it
                # It closes the connection first: answers that nobody has read would follow. That
                # holds of a cancellation, too.
                await connection._raise_connection_failure(error)  # noqa: SLF001
            for answer in found:
                # Here, where the driver learns from it that a server is no primary any more.
                _refuse(answer, connection.max_wire_version)
                answers.append(answer)


async def commit_once(
    database: AsyncDatabase[Document], session: AsyncClientSession, concern: WriteConcern
) -> None:
    """Ask once that the session's transaction be committed.

    Afterwards the session is as after the driver's own commit: ``session.commit_transaction`` asks
    again, and the server answers for the first one.

    Raises:
        PyMongoError: It is not known whether it was committed.
    """
    transaction = session._transaction  # noqa: SLF001
    transaction.attempt += 1
    command: Document = {"commitTransaction": 1, "writeConcern": concern.document}
    answers: list[Document] = []
    try:
        await send_together(database.client.admin, session, [command], answers)
        if "writeConcernError" in answers[0]:
            _raise_write_concern_error(answers[0]["writeConcernError"])
    finally:
        transaction.state = _TxnState.COMMITTED


async def _round(
    database: AsyncDatabase[Document],
    session: AsyncClientSession,
    connection: AsyncConnection,
    commands: Iterable[Document],
) -> list[Document]:
    client = database.client
    encoded = [_encoded(database, session, connection, one) for one in commands]
    protocol = connection.conn.get_conn
    await protocol.write(b"".join(sent for _, sent in encoded))
    found: list[Document] = []
    for number, _ in encoded:
        async with asyncio.timeout(connection.conn.gettimeout):
            data, _ = await protocol.read(number, connection.max_message_size)
        answer = message._OpMsg.unpack(data).unpack_response(codec_options=CODEC)[0]  # noqa: SLF001
        await client._process_response(answer, session)  # noqa: SLF001
        found.append(answer)
    return found


def _encoded(
    database: AsyncDatabase[Document],
    session: AsyncClientSession,
    connection: AsyncConnection,
    command: Document,
) -> tuple[int, bytes]:
    """Return the number and the bytes of a command's message."""
    session._apply_to(command, False, ReadPreference.PRIMARY, connection)  # noqa: SLF001
    connection.send_cluster_time(command, session, database.client)
    if session._starting_transaction:  # noqa: SLF001
        session._transaction.set_in_progress()  # noqa: SLF001
    number, encoded, _, _ = message._op_msg(  # noqa: SLF001
        0, command, database.name, ReadPreference.PRIMARY, CODEC
    )
    return number, encoded


def _refuse(answer: Document, wire_version: int | None) -> None:
    _check_command_response(answer, wire_version)
    if answer.get("writeErrors"):
        raise BulkWriteError(answer)
