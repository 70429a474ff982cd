"""The reverse proxy's files: the shipped ones pass, and what would keep a login code is found (F7)."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from console.doctor.finding import Level
from console.doctor.proxy_files import parsed_caddy, parsed_nginx
from console.doctor.reverse_proxy import reverse_proxy
from core.config import Settings
from tests.fakes.ports import free_port

pytestmark = pytest.mark.row("F7")

DEPLOY = Path(__file__).parents[3] / "deploy"
SETTINGS = Settings(public_url="https://saarthi.example.in")
NGINX = (DEPLOY / "nginx.conf").read_text()
CADDY = (DEPLOY / "Caddyfile").read_text()


def checked(tmp_path: Path, name: str, text: str, settings: Settings = SETTINGS) -> list[str]:
    """Return what the doctor says of a file."""
    path = tmp_path / name
    path.write_text(text)
    return [
        f"{one.level} {one.text.removeprefix(f'{path}: ')}" for one in reverse_proxy(settings, path)
    ]


@pytest.mark.parametrize(("name", "text"), [("nginx.conf", NGINX), ("Caddyfile", CADDY)])
def test_shipped_files_pass(tmp_path: Path, name: str, text: str) -> None:
    """With another name and port in them they pass as well, and with the wrong port they do not."""
    (line,) = checked(tmp_path, name, text)
    assert line.startswith("ok")
    other = Settings(public_url="https://trade.example", listen="127.0.0.1:9443")
    own = text.replace("saarthi.example.in", "trade.example")
    assert any(
        "leads trade.example to port 9443" in one for one in checked(tmp_path, name, own, other)
    )
    (line,) = checked(tmp_path, name, own.replace(":8443", ":9443"), other)
    assert line.startswith("ok")


KEEPS = "its access log keeps the login codes of callbacks"
QUOTES = "its error log quotes callbacks with their login codes when Saarthi does not answer"
FORMAT = "log_format short '$remote_addr $request_method $uri $status';\n"
CASES: dict[str, tuple[Callable[[str], str], list[str]]] = {
    "no access_log": (lambda text: text.replace("access_log off;", ""), [KEEPS] * 2),
    "combined": (
        lambda text: text.replace("access_log off;", "access_log /var/log/nginx/access.log;"),
        [KEEPS] * 2,
    ),
    "location of its own": (
        lambda text: text.replace("proxy_pass", 'access_log "/x/a.log" main;\n proxy_pass'),
        [KEEPS],
    ),
    "format without query": (
        lambda text: FORMAT + text.replace("access_log off;", "access_log /x/a.log short;"),
        [],
    ),
    "format with query": (
        lambda text: (
            FORMAT + text.replace("access_log off;", "access_log /x/a.log short;")
        ).replace("$uri ", "$uri?$args "),
        [KEEPS] * 2,
    ),
    "error log by default": (
        lambda text: "\n".join(one for one in text.splitlines() if "error_log" not in one),
        [QUOTES] * 2,
    ),
    "error log of a location": (
        lambda text: text.replace("proxy_pass", "error_log /x/e.log warn;\n proxy_pass"),
        [QUOTES],
    ),
    "error log at error": (lambda text: text.replace(" crit;", " error;"), [QUOTES] * 2),
    "logs off for all": (
        lambda text: (
            "http { access_log off; error_log /x/e.log crit;"
            + "\n".join(one for one in text.splitlines() if "_log" not in one)
            + "}"
        ),
        [],
    ),
    "commented out": (
        lambda text: text.replace("access_log off;", "# access_log off;"),
        [KEEPS] * 2,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nginx_that_keeps_login_codes(tmp_path: Path, case: str) -> None:
    """The request's query may be in an access log, by any format, and in the error log."""
    spoil, expected = CASES[case]
    found = checked(tmp_path, "nginx.conf", spoil(NGINX))
    assert [one.partition(" ")[2] for one in found if one.startswith("fail")] == expected
    assert all(one.startswith(("fail", "ok")) for one in found)


def test_caddy_that_keeps_login_codes(tmp_path: Path) -> None:
    """A log of the site, and the default log, which quotes requests that failed."""
    (quoted,) = checked(tmp_path, "Caddyfile", CADDY.replace("request>uri delete", ""))
    assert quoted == "fail it logs callbacks with their login codes when Saarthi does not answer"
    bare = "saarthi.example.in {\n\treverse_proxy 127.0.0.1:8443\n}\n"
    assert checked(tmp_path, "Caddyfile", bare) == [quoted]
    logged = CADDY.replace(
        "\treverse_proxy", "\tlog {\n\t\toutput file /x/a.log\n\t}\n\treverse_proxy"
    )
    assert checked(tmp_path, "Caddyfile", logged) == [f"fail {KEEPS.replace('access ', '')}"]
    skipped = logged.replace("\tlog {\n\t\toutput", "\tlog_skip\n\tlog {\n\t\toutput")
    (line,) = checked(tmp_path, "Caddyfile", skipped)
    assert line.startswith("ok")


def test_file_that_says_nothing_of_the_address(tmp_path: Path) -> None:
    """A named file must; without a public address nothing is looked at."""
    (line,) = checked(tmp_path, "nginx.conf", NGINX.replace("saarthi.example.in", "blog.example"))
    assert "says nothing of saarthi.example.in" in line
    assert reverse_proxy(Settings(), tmp_path / "nginx.conf") == []
    (gone,) = reverse_proxy(SETTINGS, tmp_path / "none")
    assert gone.level is Level.FAIL and gone.advice


def test_broken_files_are_read_as_far_as_they_go() -> None:
    """Braces that do not match, quotes and variables break nothing."""
    for text in ("", "}}}", "{{{", 'a "b{c}" {d;', "map $a ${b} { default 1; }", "#"):
        parsed_nginx(text)
        parsed_caddy(text)
    (server,) = parsed_nginx('server { set $x "a;b{c}"; } # end {').block
    assert [one.words for one in server.block] == [("set", "$x", "a;b{c}")]


def asked(port: int) -> int:
    """Ask for a callback, as soon as the proxy answers; return the status."""
    while True:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            link.request("GET", "/broker/callback/zerodha?request_token=canarycode")
            return link.getresponse().status
        except ConnectionRefusedError:
            continue
        finally:
            link.close()


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.timeout(60)
def test_real_nginx_keeps_no_login_code(tmp_path: Path) -> None:
    """With the shipped servers, while Saarthi does not answer: the code is in no file."""
    port, dead = free_port(), free_port()
    spare = free_port()
    servers = "\n".join(
        one for one in NGINX.splitlines() if "ssl_" not in one and "[::]" not in one
    )
    for shipped, here in (
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port};"),
        ("listen 80;", f"listen 127.0.0.1:{spare};"),
        (":8443", f":{dead}"),
        ("/dev/null", f"{tmp_path}/error.log"),
    ):
        assert shipped in servers
        servers = servers.replace(shipped, here)
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "main.conf"
    config.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/main.log;"
        f"events {{}} http {{ access_log {tmp_path}/access.log; {temporary}\n{servers}\n}}"
    )
    own = Settings(public_url="https://saarthi.example.in", listen=f"127.0.0.1:{dead}")
    assert [one.level for one in reverse_proxy(own, config)] == [Level.OK]
    with subprocess.Popen(["nginx", "-c", str(config), "-p", str(tmp_path)]) as process:
        try:
            assert asked(port) == 502
        finally:
            process.terminate()
    kept = [path for path in tmp_path.iterdir() if path.is_file() and path != config]
    assert kept
    assert all(b"canarycode" not in path.read_bytes() for path in kept)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
@pytest.mark.timeout(60)
def test_real_caddy_keeps_no_login_code(tmp_path: Path) -> None:
    """With the shipped file, while Saarthi does not answer: the code is not in its log."""
    port, dead = free_port(), free_port()
    config = tmp_path / "Caddyfile"
    text = CADDY.replace("saarthi.example.in {", f"http://127.0.0.1:{port} {{")
    text = text.replace(":8443", f":{dead}").replace("\n{\n", "\n{\n\tadmin off\n", 1)
    config.write_text(text)
    (passed,) = reverse_proxy(
        Settings(public_url=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{dead}"), config
    )
    assert passed.level is Level.OK
    log = tmp_path / "caddy.log"
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    command = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stderr=out, stdout=out, env=environment) as process,
    ):
        try:
            assert asked(port) == 502
        finally:
            process.terminate()
    assert b"dial tcp" in log.read_bytes()
    assert b"canarycode" not in log.read_bytes()
