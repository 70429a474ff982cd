"""Checks of the reverse proxy before the web server: does it lead here, what does it log? (F7).

The query of a broker's callback holds a login code, so a proxy may keep no query. The files of
nginx and Caddy are looked at where they usually are, or where ``--proxy-file`` says; ``deploy/``
has one of each that passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from console.doctor.finding import Finding, fail, ok, warn
from console.doctor.machine import talks_to_real_brokers
from console.doctor.proxy_files import Directive, parsed_caddy, parsed_nginx
from core.config import Settings

__all__ = ["USUAL_PLACES", "reverse_proxy"]

USUAL_PLACES = (
    "/etc/caddy/Caddyfile",
    "/etc/nginx/nginx.conf",
    "/etc/nginx/conf.d/*.conf",
    "/etc/nginx/sites-enabled/*",
)
_CHECK = "reverse proxy"
_QUIET_LEVELS = {"crit", "alert", "emerg"}
"""Levels at which nginx quotes no request."""
_QUERIES = ("$request", "$args", "$query_string", "$arg_", "$http_referer", "$is_args")
_PATHS_ALONE = ("$request_method", "$request_time", "$request_length", "$request_id")
_SHIPPED = "see deploy/ in the sources"


def reverse_proxy(settings: Settings, file: Path | None = None) -> list[Finding]:
    """Check the files of reverse proxies that serve the public address.

    Args:
        settings: Of the installation.
        file: The one file to look at; else those in the usual places.
    """
    host = urlsplit(settings.public_url or "").hostname
    if host is None:
        return []
    found = []
    for path in [file] if file is not None else _usual_files():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if file is not None:
                why = error.strerror if isinstance(error, OSError) else "it is no text"
                text = f"{path} cannot be read: {why}"
                found.append(fail(_CHECK, text, "name a file that this user may read"))
            continue
        found += _of_file(path, text, host, settings.listen_on[1], is_named=file is not None)
    if not found and talks_to_real_brokers(settings):
        text = f"no file of nginx or Caddy here names {host}"
        advice = "let yours log no query of a request; --proxy-file FILE checks one"
        return [warn(_CHECK, text, f"{advice}; {_SHIPPED}")]
    return found


def _usual_files() -> list[Path]:
    return [path for place in USUAL_PLACES for path in sorted(Path("/").glob(place[1:]))]


def _of_file(path: Path, text: str, host: str, port: int, *, is_named: bool) -> list[Finding]:
    is_caddy = path.name.lower().startswith("caddyfile") or path.suffix == ".caddy"
    look = _caddy if is_caddy else _nginx
    found = list(look(parsed_caddy(text) if is_caddy else parsed_nginx(text), host, port))
    if not found:
        if is_named:
            return [fail(_CHECK, f"{path} says nothing of {host}", f"name it there; {_SHIPPED}")]
        return []
    wrong = [(is_bad, words, advice) for is_bad, words, advice in found if words]
    if not wrong:
        return [ok(_CHECK, f"{path} leads {host} here and keeps no login code")]
    return [
        (fail if is_bad else warn)(_CHECK, f"{path}: {words}", f"{advice}; {_SHIPPED}")
        for is_bad, words, advice in wrong
    ]


_Flaw = tuple[bool, str, str]
"""Whether it is a failure, what is wrong ('' for nothing), and what to do."""
_FINE: _Flaw = (False, "", "")


# --- nginx -------------------------------------------------------------------------------------


def _nginx(root: Directive, host: str, port: int) -> Iterator[_Flaw]:
    formats = {
        one.words[1]: " ".join(one.words[2:])
        for one in root.walk()
        if one.name == "log_format" and len(one.words) > 1
    }
    http = next((one for one in root.walk() if one.name == "http"), root)
    servers = [
        one
        for one in root.walk()
        if one.name == "server" and any(host in name.words[1:] for name in one.inner("server_name"))
    ]
    for server in servers:
        yield _FINE
        yield from _nginx_logs(http, server, formats)
    passing = [one for server in servers for one in server.walk() if one.name == "proxy_pass"]
    if servers and not any(_leads_to(one.words[-1], port) for one in passing):
        yield (
            True,
            f"no proxy_pass leads {host} to port {port}",
            f"add proxy_pass http://127.0.0.1:{port} to a location",
        )
    elif servers and not _names_visitors(servers):
        yield (
            False,
            "no X-Forwarded-For is set, so that all visitors share one limit of requests",
            "add proxy_set_header X-Forwarded-For $remote_addr",
        )


def _names_visitors(servers: Iterable[Directive]) -> bool:
    return any(
        one.name == "proxy_set_header" and one.words[1:2] == ("X-Forwarded-For",)
        for server in servers
        for one in server.walk()
    )


def _nginx_logs(http: Directive, server: Directive, formats: dict[str, str]) -> Iterator[_Flaw]:
    """Say which log of a server keeps queries; a block inside another may have logs of its own."""
    logs = server.inner("access_log") or http.inner("access_log")
    inside = [one for one in server.walk() if one.name == "access_log" and one not in logs]
    if not logs or any(_keeps_queries(one, formats) for one in [*logs, *inside]):
        yield (
            True,
            "its access log keeps the login codes of callbacks",
            "add access_log off to the server",
        )
    errors = server.inner("error_log") or http.inner("error_log")
    inside = [one for one in server.walk() if one.name == "error_log" and one not in errors]
    if not errors or any(one.words[-1] not in _QUIET_LEVELS for one in [*errors, *inside]):
        yield (
            True,
            "its error log quotes callbacks with their login codes when Saarthi does not answer",
            "let the server's error_log have the level crit",
        )


def _keeps_queries(log: Directive, formats: dict[str, str]) -> bool:
    if log.words[1:2] == ("off",):
        return False
    chosen = next((word for word in log.words[2:] if "=" not in word), "combined")
    form = formats.get(chosen, "$request")  # of another file: not known, so not trusted
    for harmless in _PATHS_ALONE:
        form = form.replace(harmless, "")
    return any(name in form for name in _QUERIES)


def _leads_to(target: str, port: int) -> bool:
    address = target if "://" in target else f"http://{target}"
    try:
        return urlsplit(address).port == port
    except ValueError:
        return False


# --- Caddy -------------------------------------------------------------------------------------


def _caddy(root: Directive, host: str, port: int) -> Iterator[_Flaw]:
    sites = [one for one in root.block if any(_is_site_of(word, host) for word in one.words)]
    options = next((one for one in root.block if not one.words), Directive(()))
    defaults = [one for one in options.inner("log") if one.words[1:] in {(), ("default",)}]
    for site in sites:
        yield _FINE
        if not any(
            _leads_to(word, port)
            for one in site.walk()
            if one.name == "reverse_proxy"
            for word in one.words[1:]
        ):
            yield (
                True,
                f"no reverse_proxy leads {host} to port {port}",
                f"add reverse_proxy 127.0.0.1:{port}",
            )
        is_skipped = any(site.inner(name) for name in ("log_skip", "skip_log"))
        if not is_skipped and not all(_hides_queries(log) for log in site.inner("log")):
            yield (
                True,
                "its log keeps the login codes of callbacks",
                "remove log from the site, or let its format delete request>uri",
            )
    if sites and not any(_hides_queries(log) for log in defaults):
        yield (
            True,
            "it logs callbacks with their login codes when Saarthi does not answer",
            "let the default log's format delete request>uri",
        )


def _is_site_of(word: str, host: str) -> bool:
    name = word.rstrip(",")
    return (urlsplit(name if "://" in name else f"//{name}").hostname or "") == host


def _hides_queries(log: Directive) -> bool:
    """Whether a log deletes the addresses of requests, or writes none at all."""
    is_hidden = any(one.words == ("request>uri", "delete") for one in log.walk())
    return is_hidden or any(one.words == ("output", "discard") for one in log.walk())
