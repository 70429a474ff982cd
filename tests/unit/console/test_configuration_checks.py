"""What the doctor says of settings that are well formed and wrong (F4)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from console.doctor import machine, network
from core.config import load_settings

pytestmark = pytest.mark.row("F4")
SIMULATED = {
    "SAARTHI_KITE_API": "http://127.0.0.1:1",
    "SAARTHI_KITE_LOGIN": "http://localhost:1",
    "SAARTHI_FYERS_API": "http://[::1]:1",
}


def said(**given: str) -> list[str]:
    """Return the lines about a configuration."""
    return [str(one) for one in machine.configuration(load_settings(environment=given), {})]


def test_a_moved_clock_is_no_clock_for_real_brokers() -> None:
    """A failure beside real brokers, and said where they are simulated."""
    clock = {"SAARTHI_CLOCK": "2026-11-20T09:10:00+05:30@2026-11-23T10:00:00+05:30*10"}
    (line,) = [one for one in said(**clock) if "SAARTHI_CLOCK" in one and "given" not in one]
    assert line.startswith("fail") and "while the brokers are real" in line
    (line,) = [
        one for one in said(**clock, **SIMULATED) if "SAARTHI_CLOCK" in one and "given" not in one
    ]
    assert line.startswith("ok")


def test_a_horizon_below_what_brokers_need_is_a_warning() -> None:
    """An order was seen 95 seconds late: one that is given up before that may be sent twice."""
    short = {"SAARTHI_HORIZON_S": "60"}
    assert [one for one in said(**short) if one.startswith("warn") and "HORIZON_S" in one]
    assert not [one for one in said(**short, **SIMULATED) if one.startswith("warn")]
    assert not [one for one in said(SAARTHI_HORIZON_S="120") if one.startswith("warn")]


@pytest.mark.row("G2")
def test_a_file_of_settings_that_all_may_read_is_a_warning(tmp_path: Path) -> None:
    """It holds the bot's token; its group may read it, as the guide sets it up."""
    file = tmp_path / "saarthi.toml"
    file.write_text("")
    file.chmod(0o644)
    (line,) = map(str, machine.settings_file(file))
    assert line.startswith("warn") and "others may read it" in line
    file.chmod(0o640)
    assert machine.settings_file(file) == machine.settings_file(None) == []


@pytest.mark.row("F7")
async def test_a_page_without_end_is_not_ours() -> None:
    """Whoever answers at a name that has lapsed chooses what: only its beginning is read."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"ok" * 50_000)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = load_settings(
        environment=SIMULATED
        | {"SAARTHI_PUBLIC_URL": f"http://127.0.0.1:{port}", "SAARTHI_LISTEN": f"127.0.0.1:{port}"}
    )
    async with network.client() as http:
        (public, *_) = await network.public_address(settings, http)
        (web, *_) = await network.web_server(settings, http)
    server.close()
    assert "something else than Saarthi answers" in str(public)
    assert "another program listens" in str(web)


@pytest.mark.row("F7")
async def test_plain_public_address_is_a_failure_beside_real_brokers() -> None:
    """They redirect to https alone; either way the addresses for their consoles are told."""
    given = {"SAARTHI_PUBLIC_URL": "http://127.0.0.1:1"}
    async with network.client() as http:
        real, simulated = [
            list(map(str, await network.public_address(load_settings(environment=one), http)))
            for one in (given, given | SIMULATED)
        ]
    (plain,) = [one for one in real if one.startswith("fail")]
    assert "http://127.0.0.1:1: brokers redirect to https only" in plain
    assert not [one for one in simulated if one.startswith("fail")]
    for lines in (real, simulated):
        for path in ("/broker/callback/zerodha", "/broker/callback/fyers", "/postback/zerodha"):
            assert [one for one in lines if f"http://127.0.0.1:1{path}  (" in one], path
