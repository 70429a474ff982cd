// Market time: where a demo or a replay runs it elsewhere and faster, the page shows no other clock.

const ZONE = { timeZone: "Asia/Kolkata" };
let market = null;
let seenAt = 0;

export const setMarket = (told) => { market = told; seenAt = Date.now() / 1000; };

const sinceSeen = () => Date.now() / 1000 - seenAt;

// What the page takes for now, in seconds: market time, or real time where there is none. A clock that was moved may stand for a while.
export const now = () => market === null ? Date.now() / 1000 : market.now + Math.max(0, sinceSeen() - market.stands_s) * market.speed;

const zone = () => (market === null ? {} : ZONE);

// When a message came, by the clock that the page shows.
export const cameAt = (message) => message.market_at ?? message.date;

export const clock = (unix) =>
  new Date(unix * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...zone() });

export const dayOf = (unix) => new Date(unix * 1000).toLocaleDateString("en-CA", zone());

export const dayLabel = (unix) => {
  const day = dayOf(unix);
  if (day === dayOf(now())) return "Today";
  if (day === dayOf(now() - 86400)) return "Yesterday";
  const isThisYear = day.slice(0, 4) === dayOf(now()).slice(0, 4);
  return new Date(unix * 1000).toLocaleDateString(market === null ? [] : "en-GB", { day: "numeric", month: "long", year: isThisYear ? undefined : "numeric", ...zone() });
};

// "Demo · 20 Nov 10:35 · 10x", and what else there is to say; nothing without a market clock.
export const banner = () => {
  if (market === null) return "";
  const date = new Date(now() * 1000);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...ZONE });
  const speed = market.speed === 1 ? "" : `${Number(market.speed.toFixed(1))}x`;
  return ["Demo", `${day} ${clock(now())}`, speed, market.note].filter(Boolean).join(" · ");
};

// How long the banner's minute still lasts, in real milliseconds.
export const untilNextMinute = () => market === null ? 60000 : Math.min(60000, (Math.max(0, market.stands_s - sinceSeen()) + (60 - (now() % 60)) / market.speed) * 1000 + 20);
