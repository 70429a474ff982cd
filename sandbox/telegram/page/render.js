// Draws messages: plain text and entities (UTF-16 offsets, as JavaScript counts) become elements.

import { cameAt, clock, dayLabel, now } from "/static/market.js";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
};

const SIMPLE = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code",
  blockquote: "blockquote", custom_emoji: "span",
};

const relative = (unix) => {
  const seconds = unix - now();
  const format = new Intl.RelativeTimeFormat([], { numeric: "auto" });
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(Math.round(seconds), "second");
};

export const moment = (unix, pattern) => {
  if (pattern === "r") return relative(unix);
  const date = new Date(unix * 1000);
  const parts = [];
  if (pattern.includes("w")) parts.push(date.toLocaleDateString([], { weekday: "long" }));
  if (pattern.includes("D")) parts.push(date.toLocaleDateString([], { dateStyle: "long" }));
  else if (pattern.includes("d")) parts.push(date.toLocaleDateString([], { dateStyle: "short" }));
  if (pattern.includes("T")) parts.push(date.toLocaleTimeString([], { timeStyle: "medium" }));
  else if (pattern.includes("t")) parts.push(date.toLocaleTimeString([], { timeStyle: "short" }));
  return parts.join(", ");
};

const link = (href, text) => make("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);

const wrap = (entity, raw, inner, actions) => {
  switch (entity.type) {
    case "text_link": {
      const anchor = link(entity.url, inner);
      anchor.title = entity.url;
      return anchor;
    }
    case "url": return link(/^[a-z]+:\/\//i.test(raw) ? raw : `http://${raw}`, inner);
    case "email": return link(`mailto:${raw}`, inner);
    case "phone_number": return link(`tel:${raw}`, inner);
    case "mention": case "hashtag": case "cashtag": case "text_mention":
      return make("span", { class: "tag" }, inner);
    case "bot_command": {
      // No button: that is an inline box, before and after which a line may break.
      const command = make("span", { class: "command", tabindex: "0", role: "button" }, inner);
      command.addEventListener("click", () => actions.send(raw));
      command.addEventListener("keydown", (event) => { if (event.key === "Enter") actions.send(raw); });
      return command;
    }
    case "pre": return pre(entity, raw, inner, actions);
    case "code": {
      const code = make("code", { tabindex: "0", role: "button", title: "Copy" }, inner);
      code.addEventListener("click", () => actions.copy(raw));
      code.addEventListener("keydown", (event) => { if (event.key === "Enter") actions.copy(raw); });
      return code;
    }
    case "spoiler": return spoiler(inner);
    case "expandable_blockquote": return expandable(inner);
    case "date_time": {
      const time = make("time", { class: "moment", datetime: new Date(entity.unix_time * 1000).toISOString() });
      time.title = new Date(entity.unix_time * 1000).toLocaleString([], { dateStyle: "full", timeStyle: "long" });
      if (entity.date_time_format) {
        time.dataset.unix = entity.unix_time;
        time.dataset.format = entity.date_time_format;
        time.textContent = moment(entity.unix_time, entity.date_time_format);
      } else time.append(inner);
      return time;
    }
    default: return make(SIMPLE[entity.type] ?? "span", {}, inner);
  }
};

const pre = (entity, raw, inner, actions) => {
  const copy = make("button", { class: "pre-copy", type: "button", "aria-label": "Copy this text" }, "Copy");
  copy.addEventListener("click", () => actions.copy(raw));
  const head = make("span", { class: "pre-head" }, entity.language || "", copy);
  const body = make("pre", { tabindex: "0" }, inner);
  return make("div", { class: entity.language ? "code-block named" : "code-block" }, head, body);
};

const spoiler = (inner) => {
  const box = make("span", {
    class: "spoiler", role: "button", tabindex: "0", "aria-label": "Hidden text, press to show",
  }, make("span", {}, inner));
  const show = () => { box.classList.add("shown"); box.removeAttribute("aria-label"); };
  box.addEventListener("click", show);
  box.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(); } });
  return box;
};

const expandable = (inner) => {
  const body = make("div", { class: "quote-body" }, inner);
  const toggle = make("button", { class: "quote-toggle", type: "button", "aria-expanded": "false", "aria-label": "Show the whole quote" });
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") !== "true";
    toggle.setAttribute("aria-expanded", String(open));
    toggle.setAttribute("aria-label", open ? "Fold the quote" : "Show the whole quote");
    body.parentElement.classList.toggle("open", open);
  });
  return make("blockquote", { class: "expandable" }, body, toggle);
};

const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

export const formatted = (text, entities, actions) => {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  let next = 0;
  const range = (from, to) => {
    const fragment = document.createDocumentFragment();
    let at = from;
    while (next < sorted.length && sorted[next].offset < to) {
      const entity = sorted[next];
      const begin = Math.max(entity.offset, at);
      const end = Math.min(entity.offset + entity.length, to);
      next += 1;
      if (end <= begin) continue;
      const isBlock = BLOCKS.has(entity.type);
      let before = text.slice(at, begin);
      if (isBlock) before = before.replace(/\n$/, "");
      fragment.append(before);
      const inner = range(begin, end);
      fragment.append(wrap(entity, text.slice(begin, end), inner, actions));
      at = end;
      if (isBlock && text[at] === "\n") at += 1;
    }
    fragment.append(text.slice(at, to));
    return fragment;
  };
  return range(0, text.length);
};

const ARROW = "M7 17L17 7M9 7h8v8";
const COPY = "M9 9h10v10H9zM5 15V5h10";

const corner = (path) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "corner");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
};

const keyButton = (message, button, actions, busy) => {
  const classes = ["key", button.style ?? "plain"].join(" ");
  const label = make("span", { class: "label" }, button.text);
  if (button.url) {
    return make("a", {
      class: classes, href: button.url, target: "_blank", rel: "noopener", "data-url": button.url,
    }, label, corner(ARROW));
  }
  const key = make("button", {
    class: classes, type: "button", "data-callback": button.data, disabled: button.disabled === true,
  }, label);
  if (button.copy_text !== undefined) {
    key.append(corner(COPY));
    key.dataset.copy = button.copy_text;
    key.addEventListener("click", () => actions.copy(button.copy_text));
  } else if (button.data !== undefined) {
    if (busy.has(`${message.id}|${button.data}`)) { key.classList.add("busy"); key.setAttribute("aria-busy", "true"); }
    key.addEventListener("click", () => actions.tap(message.id, button.data));
  }
  return key;
};

const keyboard = (message, actions, busy) => {
  const box = make("div", { class: "keyboard", role: "group", "aria-label": "Buttons of this message" });
  for (const row of message.keyboard) {
    box.append(make("div", { class: "row" }, ...row.map((button) => keyButton(message, button, actions, busy))));
  }
  return box;
};

export const excerpt = (message) => {
  if (!message) return "Deleted message";
  const text = message.text.replace(/\s+/g, " ").trim();
  return text || (message.photo ? "Photo" : message.document ? message.document.file_name : "Message");
};

const quoted = (message, replied, actions) => {
  const box = make("button", { class: "quoted", type: "button", "aria-label": "Go to the replied message" },
    make("b", {}, replied?.name ?? "Reply"), make("span", {}, excerpt(replied)));
  box.addEventListener("click", () => actions.goto(message.reply_to));
  return box;
};

const size = (bytes) => bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;

const fileAddress = (file) => `/api/file/${encodeURIComponent(file.file_id)}`;

const photo = (message) => {
  const { width, height } = message.photo;
  const image = make("img", { class: "photo", src: fileAddress(message.photo), alt: message.text || "Photo", width, height });
  const frame = make("a", {
    class: message.spoiler ? "photo-frame hidden-photo" : "photo-frame", href: fileAddress(message.photo), target: "_blank",
    rel: "noopener", "aria-label": message.spoiler ? "Hidden photo, press to show" : "Open the photo",
  }, image);
  if (message.spoiler) frame.addEventListener("click", (event) => {
    if (!frame.classList.contains("hidden-photo")) return;
    event.preventDefault();
    frame.classList.remove("hidden-photo");
  });
  return frame;
};

const documentLink = (message) => {
  const { file_name: name, file_size: bytes, thumbnail } = message.document;
  const icon = thumbnail ? make("img", { class: "document-thumbnail", src: fileAddress(thumbnail), alt: "" })
    : make("span", { class: "document-icon", "aria-hidden": "true" }, "↓");
  return make("a", { class: "document", href: fileAddress(message.document), download: name },
    icon, make("span", {}, make("b", {}, name), make("i", {}, size(bytes))));
};

// The photos of an album stand in one bubble, two beside one another; an odd one first and wide.
const attachments = (message, album, bubble) => {
  if (message.photo) {
    const photos = album.map(photo);
    bubble.append(photos.length > 1 ? make("div", { class: photos.length % 2 ? "album odd" : "album" }, ...photos) : photos[0]);
    bubble.classList.add("has-photo");
  } else if (message.document) {
    for (const one of album) bubble.append(documentLink(one));
  }
};

const meta = (message) => {
  const box = make("span", { class: "meta" });
  if (message.pinned) box.append(make("span", { class: "pin", role: "img", title: "Pinned", "aria-label": "pinned" }));
  if (message.edited) box.append(make("span", { class: "edited" }, "edited"));
  box.append(make("time", { datetime: new Date(cameAt(message) * 1000).toISOString() }, clock(cameAt(message))));
  if (message.from === "user") box.append(make("span", { class: "ticks", "aria-label": "sent" }));
  return box;
};

// All messages of an album are drawn by its first one; the others have a row without a bubble.
export const drawMessage = (lead, { actions, busy, find, isGroup, me, albumOf }) => {
  const album = albumOf(lead);
  if (album[0].id !== lead.id) return make("li", { class: "message part", "data-message-id": lead.id, hidden: true });
  const said = album.find((one) => one.text) ?? lead;
  const message = { ...lead, text: said.text, entities: said.entities, edited: album.some((one) => one.edited), caption_above: said.caption_above };
  const isMine = message.from === "user" && message.user_id === me;
  const row = make("li", {
    class: `message ${isMine ? "mine" : "theirs"}`, "data-message-id": message.id, "data-from": message.from,
    "aria-label": `${isMine ? "You" : message.name}, ${clock(cameAt(message))}`,
  });
  const bubble = make("div", { class: "bubble" });
  if (message.guest) row.classList.add("guest");
  if ((isGroup && !isMine) || message.guest) bubble.append(make("b", { class: "name" }, message.name));
  if (message.forwarded_from) bubble.append(make("span", { class: "forwarded" }, `Forwarded from ${message.forwarded_from}`));
  if (message.reply_to) bubble.append(quoted(message, find(message.reply_to), actions));
  if (!message.caption_above) attachments(message, album, bubble);
  const body = make("div", { class: "text", dir: "auto" });
  body.append(formatted(message.text, message.entities, actions), meta(message));
  if (!message.text) body.classList.add("bare");
  bubble.append(body);
  if (message.caption_above) attachments(message, album, bubble);
  if (message.text.includes("\n") || message.keyboard.length) bubble.classList.add("roomy");
  if (message.entities.some((entity) => entity.type === "pre")) bubble.classList.add("wide");
  const column = make("div", { class: "column" }, bubble);
  if (message.keyboard.length) column.append(keyboard(message, actions, busy));
  row.append(column);
  return row;
};

export const drawService = (message, { actions, find }) => {
  const target = message.service.message_id;
  const text = excerpt(find(target));
  const line = make("button", { type: "button" }, `${message.name} pinned “${text.length > 32 ? `${text.slice(0, 32)}…` : text}”`);
  line.addEventListener("click", () => actions.goto(target));
  return make("li", { class: "service", "data-message-id": message.id }, line);
};

export const drawDay = (unix) => make("li", { class: "day", role: "separator" }, make("span", {}, dayLabel(unix)));

export { make };
