"""The two pages of the simulated Fyers login: consent and error."""

from html import escape

__all__ = ["consent_page", "failure_page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #14213d; --soft: #5b6785; --line: #d7ddec;
  --card: #fff; --back: #eef2fb; --blue: #2450d8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf8; --soft: #9aa6c4; --line: #313b57;
  --card: #182035; --back: #0e1424; --blue: #5b80ff; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 2rem; border: 1px solid var(--line);
  border-radius: 1rem; background: var(--card); }
.brand { font-weight: 700; letter-spacing: .12em; color: var(--blue); }
.note { color: var(--soft); font-size: .875rem; }
h1 { margin: .5rem 0 1rem; font-size: 1.35rem; line-height: 1.25; }
label { display: block; margin: 1rem 0 .3rem; font-weight: 600; }
input { width: 100%; padding: .7rem .8rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .5rem; }
.row { display: flex; gap: .75rem; margin-top: 1.25rem; }
button { flex: 1; padding: .75rem; font: inherit; font-weight: 600; border-radius: .5rem;
  border: 1px solid var(--line); background: transparent; color: inherit; cursor: pointer; }
button.main { background: var(--blue); border-color: var(--blue); color: #fff; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
code { overflow-wrap: anywhere; }
"""


def consent_page(app_name: str, app_id: str, user_id: str) -> str:
    """Return the page that asks the user to allow an app; its form posts to its own address."""
    body = f"""
<h1>Allow {escape(app_name)} to use your account?</h1>
<p class="note">App <code>{escape(app_id)}</code> will see funds, positions and orders, and may
place orders for you until 06:00 tomorrow.</p>
<form method="post">
  <label for="user_id">Fyers user id</label>
  <input id="user_id" name="user_id" value="{escape(user_id)}" autocomplete="username" required>
  <div class="row">
    <button class="main" name="action" value="allow">Allow</button>
    <button name="action" value="deny">Deny</button>
  </div>
</form>
<p class="note">Simulated broker: no password, no second factor, no real money.</p>"""
    return _page("Log in", body)


def failure_page(code: int, message: str) -> str:
    """Return the page that says why a login address is not accepted."""
    body = f"""
<h1>This login cannot go on</h1>
<p role="alert">{escape(message)}</p>
<p class="note">Code {code}. Go back to the app that sent you here and start again.</p>"""
    return _page("Login error", body)


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Fyers (simulated)</title>
<style>{_STYLE}</style>
</head>
<body><main>
<div class="brand">FYERS <span class="note">simulated</span></div>{body}
</main></body>
</html>
"""
