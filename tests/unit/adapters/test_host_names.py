"""Addresses of brokers are remembered."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from core.adapters.host_names import HostNames
from tests.fakes.clock import ManualClock

IPV4 = socket.AF_INET


class NameServer:
    """Takes the place of the machine's look-up."""

    def __init__(self) -> None:
        self.asked = 0
        self.address = "192.0.2.1"
        self.is_away = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def look_up(self, host: str, *_arguments: Any) -> list[Any]:
        """Answer as ``socket.getaddrinfo`` does, one address twice."""
        self.asked += 1
        self.may_answer.wait(30)
        if self.is_away:
            raise socket.gaierror(socket.EAI_AGAIN, host)
        return [(IPV4, kind, 0, "", (self.address, 0)) for kind in (1, 1)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    """The machine's name server."""
    made = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    return made


async def test_accounts_ask_for_a_name_once(server: NameServer) -> None:
    """Fifty accounts that open connections at the same moment wait for one look-up."""
    names = HostNames(ManualClock())
    found = await asyncio.gather(*(names.addresses("api.example", IPV4) for _ in range(50)))
    assert found == [["192.0.2.1"]] * 50
    assert server.asked == 1


async def test_known_address_is_used_while_it_is_looked_up_anew(server: NameServer) -> None:
    """A name server that is slow delays nobody who has an address."""
    clock = ManualClock()
    names = HostNames(clock)
    await names.addresses("api.example", IPV4)
    await clock.advance(31.0)
    server.may_answer.clear()
    server.address = "192.0.2.2"
    assert await names.addresses("api.example", IPV4) == ["192.0.2.1"]
    server.may_answer.set()
    async with asyncio.timeout(150):
        while await names.addresses("api.example", IPV4) != ["192.0.2.2"]:
            await asyncio.sleep(0.001)
    assert server.asked == 2


async def test_old_address_waits_for_a_new_look_up(server: NameServer) -> None:
    """What was found long ago is asked for again first."""
    clock = ManualClock()
    names = HostNames(clock)
    await names.addresses("api.example", IPV4)
    await clock.advance(601.0)
    server.address = "192.0.2.2"
    assert await names.addresses("api.example", IPV4) == ["192.0.2.2"]


@pytest.mark.matrix("N05")
async def test_name_server_that_is_away_stops_only_the_unknown(server: NameServer) -> None:
    """A name that was found once still leads to the broker; another one leads nowhere."""
    clock = ManualClock()
    names = HostNames(clock)
    await names.addresses("api.example", IPV4)
    server.is_away = True
    for _ in range(3):
        await clock.advance(400.0)
        assert await names.addresses("api.example", IPV4) == ["192.0.2.1"]
    with pytest.raises(OSError, match=r"other\.example"):
        await names.addresses("other.example", IPV4)


async def test_one_who_gives_up_leaves_the_others_waiting(server: NameServer) -> None:
    """A cancelled order does not end the look-up that another one waits for."""
    names = HostNames(ManualClock())
    server.may_answer.clear()
    one, other = (asyncio.create_task(names.addresses("api.example", IPV4)) for _ in range(2))
    async with asyncio.timeout(150):
        while not server.asked:
            await asyncio.sleep(0.001)
    one.cancel()
    server.may_answer.set()
    assert await other == ["192.0.2.1"]
    assert one.cancelled()


async def test_numeric_address_asks_nobody(server: NameServer) -> None:
    """Nothing is to be looked up."""
    names = HostNames(ManualClock())
    assert await names.addresses("127.0.0.1", IPV4) == ["127.0.0.1"]
    assert server.asked == 0
