// The chat page: one person, one bot. The server pushes; the page draws what it was told.

import { drawDay, drawMessage, drawService, excerpt, make, moment } from "/static/render.js";
import { banner, cameAt, dayOf, setMarket, untilNextMinute } from "/static/market.js";

const query = new URLSearchParams(location.search);
const me = Number(query.get("user") ?? 1001);
const chat = query.get("chat") ? Number(query.get("chat")) : me;
const byId = (id) => document.getElementById(id);
const [list, scroll, composer] = ["messages", "scroll", "composer"].map(byId);

const state = {
  bot: null, messages: new Map(), pinned: [], pinnedShown: 0, busy: new Map(),
  replyTo: null, typing: null, choice: 0, connected: false, unread: 0, follow: true, stickAt: 0, shownToasts: new Set(),
};

// --- the server ---------------------------------------------------------------------------

const address = () => {
  const parameters = new URLSearchParams({ user: me, name: query.get("name") ?? (me === 1001 ? "Asha" : "") });
  if (!parameters.get("name")) parameters.delete("name");
  for (const key of ["bot", "chat"]) if (query.get(key)) parameters.set(key, query.get(key));
  return `/api/events?${parameters}`;
};

const post = async (path, body) => {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user: me, chat, bot: state.bot?.id, ...body }),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
};

const send = async (text) => {
  const trimmed = text.trim();
  if (!trimmed) return;
  const replyTo = state.replyTo?.id;
  setReply(null);
  composer.value = "";
  grow();
  hideMenu();
  stick(true);
  try { await post("/api/send", { text: trimmed, reply_to: replyTo }); }
  catch (error) { composer.value = text; grow(); toast(error.message); }
};

const upload = async (files) => {
  const form = new FormData();
  const fields = { user_id: me, chat_id: chat, bot_id: state.bot?.id, caption: composer.value.trim(), reply_to: state.replyTo?.id };
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  [...files].forEach((file, index) => form.append(`file${index}`, file, file.name || "picture.png"));
  setReply(null);
  composer.value = "";
  grow();
  stick(true);
  try {
    const answer = await fetch("/api/upload", { method: "POST", body: form });
    if (!answer.ok) throw new Error((await answer.json()).error);
  } catch (error) { toast(error.message); }
};

const setBusy = (key, on) => {
  if (on) state.busy.set(key, setTimeout(() => setBusy(key, false), 60000));
  else { clearTimeout(state.busy.get(key)); state.busy.delete(key); }
  const [id, ...rest] = key.split("|");
  for (const button of list.querySelectorAll(`[data-message-id="${id}"] .key`)) {
    if (button.dataset.callback !== rest.join("|")) continue;
    button.classList.toggle("busy", on);
    button.setAttribute("aria-busy", String(on));
  }
};

const tap = async (messageId, data) => {
  const key = `${messageId}|${data}`;
  if (state.busy.has(key)) return;
  setBusy(key, true);
  try { await post("/api/tap", { message_id: messageId, data }); }
  catch (error) { setBusy(key, false); toast(error.message); }
};

const copy = async (text) => {
  try { await navigator.clipboard.writeText(text); }
  catch { copyByHand(text); }
  toast("Copied to clipboard");
};

const copyByHand = (text) => {
  const area = make("textarea", { class: "sr" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};

const goto = (id) => {
  const known = state.messages.get(id);
  const target = list.querySelector(`[data-message-id="${known ? albumOf(known)[0].id : id}"]`);
  if (!target) { toast("This message was deleted"); return; }
  state.follow = false;
  state.stickAt = 0;
  target.scrollIntoView({ behavior: "smooth", block: "center" });
  target.classList.remove("flash");
  void target.offsetWidth;
  target.classList.add("flash");
};

// The messages of an album from the first, or a message alone.
const albumOf = (message) => message.album === null ? [message]
  : [...state.messages.values()].filter((one) => one.album === message.album).sort((a, b) => a.id - b.id);

const actions = { send, tap, copy, goto };
const context = () => ({
  actions, busy: state.busy, me, isGroup: chat < 0,
  find: (id) => state.messages.get(id),
  albumOf,
});

// --- the list -----------------------------------------------------------------------------

const isAtEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 90;
const stick = (smooth = false) => {
  state.follow = true;
  state.stickAt = performance.now();
  scroll.scrollTo({ top: scroll.scrollHeight, behavior: smooth ? "smooth" : "instant" });
};
const isFollowing = () => state.follow || isAtEnd();

const draw = (message) => (message.service ? drawService : drawMessage)(message, context());

const regroup = () => {
  for (const day of list.querySelectorAll(".day")) day.remove();
  let lastDay = "";
  let previous = null;
  for (const row of [...list.children]) {
    if (row.hidden || row.classList.contains("leaving") || row.classList.contains("typing")) continue;
    const message = state.messages.get(Number(row.dataset.messageId));
    if (!message) continue;
    const day = dayOf(cameAt(message));
    if (day !== lastDay) { row.before(drawDay(cameAt(message))); lastDay = day; previous = null; }
    const joins = previous && !message.service && !previous.message.service
      && previous.message.from === message.from && previous.message.guest === message.guest && previous.message.user_id === message.user_id
      && message.date - previous.message.date < 300;
    row.classList.toggle("joined", Boolean(joins));
    if (previous) previous.row.classList.toggle("last", !joins);
    previous = { row, message };
  }
  if (previous) previous.row.classList.add("last");
};

const place = (message) => {
  const old = list.querySelector(`[data-message-id="${message.id}"]`);
  const row = draw(message);
  if (old) {
    for (const name of ["joined", "last"]) row.classList.toggle(name, old.classList.contains(name));
    keepFolds(old, row);
    old.replaceWith(row);
    unfoldShort(row);
    return false;
  }
  row.classList.add("arriving");
  const rows = list.querySelectorAll("[data-message-id]");
  let index = rows.length;
  while (index > 0 && Number(rows[index - 1].dataset.messageId) > message.id) index -= 1;
  const next = rows[index] ?? list.querySelector(".typing");
  if (next) next.before(row); else list.append(row);
  unfoldShort(row);
  return true;
};

// A quote that fits is shown whole, without a toggle.
const unfoldShort = (root) => {
  for (const body of root.querySelectorAll(".expandable:not(.open) .quote-body")) {
    body.parentElement.classList.toggle("fits", body.scrollHeight <= body.clientHeight + 2);
  }
};

// What quotes or names a message follows it: a deleted text must not live on in a quote.
const redrawAlbum = (message) => {
  if (message?.album) for (const one of albumOf(message)) place(one);
};

const redrawRelated = (id) => {
  for (const message of state.messages.values()) {
    if (message.reply_to === id || message.service?.message_id === id) place(message);
  }
};

const keepFolds = (old, row) => {
  const before = old.querySelectorAll(".quote-toggle");
  row.querySelectorAll(".quote-toggle").forEach((toggle, index) => {
    if (before[index]?.getAttribute("aria-expanded") === "true") toggle.click();
  });
  const pres = old.querySelectorAll("pre");
  row.querySelectorAll("pre").forEach((block, index) => {
    const left = pres[index]?.scrollLeft;
    if (left) requestAnimationFrame(() => { block.scrollLeft = left; });
  });
};

const remove = (id) => {
  const gone = state.messages.get(id);
  state.messages.delete(id);
  redrawAlbum(gone);
  const row = list.querySelector(`[data-message-id="${id}"]`);
  if (!row) return;
  row.style.height = `${row.offsetHeight}px`;
  void row.offsetHeight;
  row.classList.add("leaving");
  row.removeAttribute("data-message-id");
  setTimeout(() => { row.remove(); regroup(); }, 360);
  regroup();
};

const onMessage = ({ message, pinned }) => {
  const wasAtEnd = isFollowing();
  if (message.deleted) { remove(message.id); redrawRelated(message.id); if (state.replyTo?.id === message.id) setReply(null); }
  else {
    state.messages.set(message.id, message);
    const isNew = place(message);
    redrawAlbum(message);
    if (isNew) onArrival(message, wasAtEnd);
    else redrawRelated(message.id);
    regroup();
    if (wasAtEnd) stick(isNew);
  }
  setPinned(pinned);
  refreshEmpty();
};

const onArrival = (message, wasAtEnd) => {
  if (message.from === "bot") {
    setTyping(null);
    applyPrompt(message);
    if (!wasAtEnd && !message.service) { state.unread += 1; refreshDown(); }
  } else if (message.reply_to && state.replyTo?.id === message.reply_to) setReply(null);
  if (document.hidden && message.from === "bot") document.title = `● ${state.bot.name}`;
};

const onSnapshot = (event) => {
  state.connected = true;
  state.messages = new Map(event.messages.map((message) => [message.id, message]));
  for (const key of state.busy.keys()) clearTimeout(state.busy.get(key));
  state.busy = new Map();
  onMarket(event);
  list.replaceChildren(...event.messages.map(draw));
  setBot(event.bot);
  setChooser(event.bots);
  setPinned(event.pinned);
  regroup();
  restorePrompt(event.messages);
  refreshEmpty();
  unfoldShort(list);
  stick();
  requestAnimationFrame(() => stick());
};

const refreshEmpty = () => {
  const isEmpty = state.bot !== null && state.messages.size === 0;
  byId("empty").hidden = !isEmpty;
  const needsStart = isEmpty && chat > 0;
  byId("start").hidden = !needsStart;
  const appears = byId("compose").hidden && !needsStart;
  byId("compose").hidden = needsStart;
  // Measured while it was hidden, the text field has no height of its own.
  if (appears) requestAnimationFrame(() => requestAnimationFrame(grow));
};

// --- header, pinned bar, status -------------------------------------------------------------

const initials = (name) => name.split(/\s+/).slice(0, 2).map((word) => word[0] ?? "").join("").toUpperCase();


const setBot = (bot) => {
  state.bot = bot;
  byId("bot-name").textContent = bot.name;
  byId("empty-name").textContent = bot.name;
  byId("empty-text").textContent = bot.description || "What can this bot do? Press START to find out.";
  document.title = bot.name;
  for (const id of ["avatar", "empty-avatar"]) byId(id).textContent = initials(bot.name);
  byId("menu-button").hidden = bot.commands.length === 0;
  refreshStatus();
};

const refreshStatus = () => {
  const status = byId("bot-status");
  status.classList.toggle("is-typing", Boolean(state.connected && state.typing));
  if (!state.connected) status.textContent = "connecting…";
  else status.textContent = state.typing ? "" : "bot";
  if (state.connected && state.typing) status.append(make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i")), state.typing);
};

const ACTIONS = { typing: "typing", upload_photo: "sending a photo", upload_document: "sending a file" };
let typingTimer = 0;
const setTyping = (action) => {
  clearTimeout(typingTimer);
  state.typing = action ? ACTIONS[action] ?? "working" : null;
  if (action) typingTimer = setTimeout(() => setTyping(null), 5500);
  const old = list.querySelector(".typing");
  if (!state.typing) old?.remove();
  else if (!old) {
    const wasAtEnd = isFollowing();
    list.append(make("li", { class: "message theirs typing last", "aria-hidden": "true" },
      make("div", { class: "column" }, make("div", { class: "bubble" }, make("span", { class: "dots" }, make("i"), make("i"), make("i"))))));
    if (wasAtEnd) stick(true);
  }
  refreshStatus();
};

const setChooser = (bots) => {
  byId("chooser-box").hidden = bots.length < 2;
  byId("chooser").replaceChildren(...bots.map((bot) =>
    make("option", { value: bot.id, selected: bot.id === state.bot.id }, `${bot.name} · ${bot.id}`)));
};

let bannerTimer = 0;
const showBanner = () => {
  clearTimeout(bannerTimer);
  const text = banner();
  byId("banner").hidden = text === "";
  byId("banner").textContent = text;
  if (text) bannerTimer = setTimeout(showBanner, untilNextMinute());
};
const onMarket = ({ market }) => { setMarket(market); showBanner(); };

const setPinned = (ids) => {
  state.pinned = ids.filter((id) => state.messages.has(id));
  state.pinnedShown = Math.min(state.pinnedShown, Math.max(0, state.pinned.length - 1));
  const bar = byId("pinned");
  bar.hidden = state.pinned.length === 0;
  if (bar.hidden) return;
  const id = state.pinned[state.pinnedShown];
  bar.dataset.target = id;
  byId("pinned-text").textContent = excerpt(state.messages.get(id));
  byId("pinned-bars").replaceChildren(...state.pinned.slice(0, 4).map((_, index) =>
    make("i", { class: index === state.pinned.length - 1 - state.pinnedShown ? "on" : "" })));
};

byId("pinned").addEventListener("click", () => {
  goto(Number(byId("pinned").dataset.target));
  state.pinnedShown = (state.pinnedShown + 1) % state.pinned.length;
  setPinned(state.pinned);
});

byId("chooser").addEventListener("change", (event) => {
  query.set("bot", event.target.value);
  location.search = query.toString();
});

// --- toasts and alerts ----------------------------------------------------------------------

const toast = (text) => {
  const note = make("div", { class: "toast" }, text);
  byId("toasts").append(note);
  setTimeout(() => note.classList.add("leaving"), 3200);
  setTimeout(() => note.remove(), 3600);
};

const onToast = ({ toast: answer }) => {
  if (answer.user_id !== me) return;
  const key = `${answer.message_id}|${answer.data}`;
  if (!answer.answered) { if (!state.busy.has(key)) setBusy(key, true); return; }
  setBusy(key, false);
  if (!answer.text || state.shownToasts.has(answer.callback_query_id)) return;
  state.shownToasts.add(answer.callback_query_id);
  if (!answer.show_alert) { toast(answer.text); return; }
  byId("alert-title").textContent = state.bot.name;
  byId("alert-text").textContent = answer.text;
  if (!byId("alert").open) byId("alert").showModal();
};

// --- replies and reply keyboards --------------------------------------------------------------

const setReply = (message, prompt = {}) => {
  state.replyTo = message;
  byId("replying").hidden = !message;
  composer.placeholder = prompt.input_field_placeholder ?? "Message";
  if (!message) return;
  byId("replying-name").textContent = `Reply to ${message.name}`;
  byId("replying-text").textContent = excerpt(message);
};

const setQuick = (prompt) => {
  const box = byId("quick");
  box.hidden = !prompt;
  box.replaceChildren();
  if (!prompt) return;
  for (const row of prompt.keyboard) {
    const line = make("div", { class: "row" });
    for (const button of row) {
      const key = make("button", { class: `key ${button.style ?? "plain"}`, type: "button" }, make("span", { class: "label" }, button.text));
      key.addEventListener("click", () => { send(button.text); if (prompt.one_time_keyboard) setQuick(null); });
      line.append(key);
    }
    box.append(line);
  }
  if (prompt.input_field_placeholder) composer.placeholder = prompt.input_field_placeholder;
};

const applyPrompt = (message) => {
  const prompt = message.prompt;
  if (!prompt) return;
  if (prompt.force_reply) { setReply(message, prompt); composer.focus({ preventScroll: true }); }
  else if (prompt.keyboard) setQuick(prompt);
  else if (prompt.remove_keyboard) setQuick(null);
};

const restorePrompt = (messages) => {
  setReply(null);
  setQuick(null);
  const last = [...messages].reverse().find((message) => message.prompt);
  if (!last) return;
  const isAnswered = messages.some((message) => message.from === "user" && message.id > last.id);
  if (!last.prompt.force_reply || !isAnswered) applyPrompt(last);
};

list.addEventListener("dblclick", (event) => {
  const row = event.target.closest(".message");
  const message = row && state.messages.get(Number(row.dataset.messageId));
  if (!message || event.target.closest("button, a, pre")) return;
  getSelection().removeAllRanges();
  setReply(message);
  composer.focus({ preventScroll: true });
});
byId("replying-close").addEventListener("click", () => { setReply(null); composer.focus(); });

// --- the composer and the command menu ----------------------------------------------------------

const grow = () => {
  composer.style.height = "auto";
  composer.style.height = `${Math.min(composer.scrollHeight, 160)}px`;
  byId("app").classList.toggle("has-text", composer.value.trim() !== "");
};

const menu = byId("menu");
const hideMenu = () => {
  menu.hidden = true;
  byId("menu-button").setAttribute("aria-expanded", "false");
  composer.removeAttribute("aria-activedescendant");
};

const showMenu = (prefix) => {
  const commands = (state.bot?.commands ?? []).filter(({ command }) => command.startsWith(prefix));
  if (commands.length === 0) { hideMenu(); return; }
  menu.replaceChildren(...commands.map(({ command, description }, index) => {
    const item = make("button", { class: "item", type: "button", role: "option", id: `command-${index}`, "data-command": command },
      make("span", { class: "item-icon", "aria-hidden": "true" }, "/"),
      make("span", { class: "item-name" }, `/${command}`), make("span", { class: "item-about" }, description));
    item.addEventListener("click", () => { send(`/${command}`); composer.focus(); });
    return item;
  }));
  menu.hidden = false;
  choose(0);
};

const choose = (index) => {
  const items = [...menu.children];
  state.choice = (index + items.length) % items.length;
  items.forEach((item, at) => item.setAttribute("aria-selected", String(at === state.choice)));
  items[state.choice].scrollIntoView({ block: "nearest" });
  composer.setAttribute("aria-activedescendant", items[state.choice].id);
};

const onKey = (event) => {
  const isOpen = !menu.hidden;
  if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    choose(state.choice + (event.key === "ArrowDown" ? 1 : -1));
  } else if (isOpen && event.key === "Tab") {
    event.preventDefault();
    composer.value = `/${menu.children[state.choice].dataset.command} `;
    hideMenu();
  } else if (event.key === "Escape") {
    if (isOpen) hideMenu(); else setReply(null);
  } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    const typed = composer.value.trim();
    if (isOpen && typed !== `/${menu.children[state.choice].dataset.command}` && /^\/\w*$/.test(typed)) menu.children[state.choice].click();
    else send(composer.value);
  }
};

composer.addEventListener("input", () => {
  grow();
  const match = /^\/(\w*)$/.exec(composer.value);
  if (match) showMenu(match[1].toLowerCase()); else hideMenu();
});
composer.addEventListener("keydown", onKey);
byId("compose").addEventListener("submit", (event) => { event.preventDefault(); send(composer.value); composer.focus(); });
byId("start").addEventListener("click", () => send("/start"));
byId("menu-button").addEventListener("click", () => {
  if (!menu.hidden) { hideMenu(); return; }
  showMenu("");
  byId("menu-button").setAttribute("aria-expanded", "true");
  composer.focus({ preventScroll: true });
});
document.addEventListener("click", (event) => {
  if (!menu.hidden && !event.target.closest("#menu, #menu-button, #composer")) hideMenu();
});

byId("attach").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  if (event.target.files.length) upload(event.target.files);
  event.target.value = "";
});
composer.addEventListener("paste", (event) => {
  if (!event.clipboardData?.files.length) return;
  event.preventDefault();
  upload(event.clipboardData.files);
});

// --- scrolling ------------------------------------------------------------------------------------

const refreshDown = () => {
  const atEnd = isAtEnd();
  if (atEnd) state.unread = 0;
  byId("down").hidden = atEnd;
  byId("unread").hidden = state.unread === 0;
  byId("unread").textContent = state.unread;
};
scroll.addEventListener("scroll", refreshDown, { passive: true });
byId("down").addEventListener("click", () => stick(true));
document.addEventListener("visibilitychange", () => { if (!document.hidden && state.bot) document.title = state.bot.name; });
const resized = new ResizeObserver(() => { if (state.follow) stick(); });
resized.observe(scroll);
resized.observe(list);
// A smooth scroll passes through places that are not the end; only a person's own scrolling counts.
scroll.addEventListener("scroll", () => {
  if (performance.now() - state.stickAt > 700) state.follow = isAtEnd();
}, { passive: true });
for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  scroll.addEventListener(kind, () => { state.stickAt = 0; }, { passive: true });
}
setInterval(() => {
  for (const time of document.querySelectorAll("time[data-unix]")) time.textContent = moment(Number(time.dataset.unix), time.dataset.format);
}, 10000);

// --- the stream -------------------------------------------------------------------------------------

const onWaiting = () => {
  byId("bot-name").textContent = "Waiting for a bot";
  byId("bot-status").textContent = "it appears here with its first request";
  byId("empty").hidden = true;
  byId("compose").hidden = true;
};

const handlers = {
  snapshot: onSnapshot,
  message: onMessage,
  market: onMarket,
  toast: onToast,
  bot: ({ bot }) => setBot(bot),
  action: ({ action }) => setTyping(action),
  waiting: onWaiting,
  reset: () => { list.replaceChildren(); state.messages.clear(); state.bot = null; setPinned([]); setReply(null); setQuick(null); onWaiting(); },
};

const connect = () => {
  const source = new EventSource(address());
  source.onmessage = ({ data }) => { const event = JSON.parse(data); handlers[event.type]?.(event); };
  source.onerror = () => {
    state.connected = false;
    refreshStatus();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
};

connect();
