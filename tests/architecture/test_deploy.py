"""What is under deploy/ keeps what docs/security.md and docs/operations.md promise of it."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from core.config import load_settings
from core.engine.accounts import logins
from tests.architecture.test_repository import ROOT, SHIPPED

DEPLOY = ROOT / "deploy"


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def commands(text: str, mark: str = "#") -> list[str]:
    """Return the lines that are no comments, continued ones joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(one.split()) for one in lines if one.strip() and one.strip()[0] != mark]


def test_unit_is_confined_and_watched() -> None:
    """No capability, a read-only machine, filtered calls and sockets, no core dumps, a watchdog."""
    lines = commands(read("saarthi.service"))
    for line in (
        "User=saarthi",
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=10",
        "Restart=on-failure",
        "KillMode=mixed",
        "UMask=0077",
        "LimitCORE=0",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectProc=invisible",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
    ):
        assert line in lines
    limit = re.search(r"LimitNOFILE=(\d+)", read("saarthi.service"))
    assert limit and 1024 < int(limit[1]) <= 65_536
    assert not any(line.startswith(("Environment=", "EnvironmentFile=")) for line in lines)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_unit_is_rated_well_by_systemd() -> None:
    """The exposure that systemd itself works out is low; an older systemd cannot look at a file."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "saarthi.service"],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for saarthi.service: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd rates no files: {done.stderr.strip()[:100]}")
    assert float(found[1]) <= 2.0


def test_nginx_logs_no_request() -> None:
    """Neither log of a server may hold a callback's query; the client's address is nginx's word."""
    servers = read("nginx.conf").split("\nserver {")[1:]
    assert len(servers) == 2
    for server in servers:
        lines = commands(server)
        assert "access_log off;" in lines and "error_log /dev/null crit;" in lines
        assert not any(
            "_log " in line and "off" not in line and "null" not in line for line in lines
        )
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in commands(read("nginx.conf"))


def test_caddy_logs_no_address() -> None:
    """Its errors would name the request: address and headers are left out of every line."""
    lines = commands(read("Caddyfile"))
    assert "request>uri delete" in lines and "request>headers delete" in lines
    assert "header_up X-Forwarded-For {remote_host}" in lines
    assert 'header Strict-Transport-Security "max-age=31536000"' in lines


def test_image_is_production_alone_and_not_root() -> None:
    """The production lock with hashes, a user of its own, a health check, no secret in it."""
    text = read("Containerfile")
    lines = commands(text)
    assert "-r requirements.lock" in text and "--require-hashes" in text
    assert not re.search(r"-r requirements-|installed-dev|make ", text)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    assert any(line.startswith("HEALTHCHECK ") and "/healthz" in line for line in lines)
    assert not re.search(
        r"(?i)^(ENV|ARG) .*(token|secret|password|mongodb_uri)", text, re.MULTILINE
    )
    copied = {line.split()[1] for line in lines if re.match(r"COPY [a-z]+ ", line)}
    assert copied == set(SHIPPED)


def test_image_is_built_from_what_is_shipped() -> None:
    """Nothing else reaches a builder: no secret, no data, no tests."""
    lines = commands((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    files = {"LICENSE", "README.md", "pyproject.toml", "requirements.in"}
    files |= {"requirements-embedded.in", "requirements.lock"}
    assert allowed == files | set(SHIPPED)


def test_compose_holds_no_secret_and_drops_every_right() -> None:
    """Secrets are files; no service is root, writes its root or gains rights; one door, on loopback."""
    text = read("compose.yaml")
    assert not re.search(r"(?i)(password|token|secret_key|mongodb_uri|pwd):[ \t]*\S", text)
    for line in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert line in commands(text)
    assert text.count("<<: *hardened") == text.count("    image: ") == 3
    assert re.findall(r"ports: (.*)", text) == ['["127.0.0.1:8443:8443"]']
    assert "--replSet" in text and "--keyFile" in text and "internal: true" in text
    assert text.count('user: "999:999"') == 2
    given = re.findall(r"^    file: (\S+)$", text, re.MULTILINE)
    assert given and all(one.startswith("./secrets/") for one in given)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/secrets/" in ignored
    for name in re.findall(r"\./(\w+):/setup:ro", text):
        assert (DEPLOY / name).is_dir()


def test_store_user_has_its_database_alone() -> None:
    """The script gives it no right elsewhere, and passes no password as an argument."""
    text = read("mongo/setup.js")
    assert set(re.findall(r'role: "(\w+)", db: "(\w+)"', text)) == {
        ("readWrite", "saarthi"),
        ("dbAdmin", "saarthi"),
    }
    assert "process.argv" not in text


def test_secrets_are_made_once_and_for_their_readers_alone(tmp_path: Path) -> None:
    """Each is new and of mode 0400, the settings are valid, and none is made a second time."""
    copy = tmp_path / "deploy"
    copy.mkdir()
    shutil.copy(DEPLOY / "make-secrets", copy)
    made: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run([copy / "make-secrets"], check=True, capture_output=True)
        found = sorted((copy / "secrets").iterdir())
        made.append({one.name: one.read_text() for one in found})
        assert {stat.S_IMODE(one.stat().st_mode) for one in found} == {0o400}
    assert made[0] == made[1]
    wanted = set(re.findall(r"file: ./secrets/(\S+)", read("compose.yaml")))
    assert set(made[0]) == wanted
    password = made[0]["mongo_saarthi_password"]
    assert len(password) == 44 and password != made[0]["mongo_root_password"]
    settings = load_settings(copy / "secrets" / "saarthi.toml", {})
    assert settings.mongodb_uri is not None
    assert f":{password}@mongo:" in settings.mongodb_uri.get_secret_value()
    assert settings.listen_on == ("0.0.0.0", 8443)
    (gateway,) = re.findall(r"gateway: ([0-9.]+)", read("compose.yaml"))
    assert settings.trusted_proxies == (f"{gateway}/32",)


def test_example_of_the_settings_is_valid() -> None:
    """Whoever copies it and fills it in gets no complaint about its form."""
    settings = load_settings(DEPLOY / "saarthi.example.toml", {})
    assert {"telegram_token", "owners", "public_url", "data", "mongodb_uri"} == set(settings.given)


def test_nonces_have_the_bits_that_the_page_says() -> None:
    """The page says of the nonce of a login what the code makes."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"a single-use nonce of 10 minutes, of (\d+) random bits", page)
    assert int(said) == logins._NONCE_BYTES * 8
