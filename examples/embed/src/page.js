// Numbers of 64 bits are strings in the API.
const number = n => BigInt(n).toLocaleString("en");
const percent = share => share == null ? "–" : (100 * share).toFixed(1) + " %";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
// Names in transcripts may contain characters that move, hide or reverse the surrounding text.
const shown = name => name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);
const at = id => document.getElementById(id);
const el = (name, text) => Object.assign(document.createElement(name), { textContent: text });
const ranges = { Today: "days=1&step=hour", "7 days": "days=7", "30 days": "days=30", All: "step=day" };
let chosen = "All";

function show(m) {
  const { tokens, responses, unfinished_responses } = m.totals;
  at("total").textContent = (m.at_least ? "at least " : "") + number(tokens.total) + " tokens";
  const age = m.data_age.last_sync_age_seconds;
  at("note").textContent = `${number(responses)} responses in ${number(m.sessions.groups)} sessions` +
    (age == null ? "" : `, transcripts last read ${Math.round(age)} s ago`) +
    (unfinished_responses === "0" ? "" : `; ${number(unfinished_responses)} responses are unfinished`);
  at("cards").replaceChildren(...[["Input", number(tokens.input)], ["Output", number(tokens.output)],
    ["Cache creation", number(tokens.cache_creation)], ["Cache read", number(tokens.cache_read)],
    ["Cache hit rate", percent(m.cache_hit_share)]].map(([name, value]) => {
      const card = el("div", "");
      card.append(el("small", name), el("b", value));
      return card;
    }));
  const most = Math.max(1, ...m.trend.buckets.map(b => Number(b.tokens.total)));
  at("trend-title").textContent = `By ${m.trend.step} (${m.trend.zone})`;
  at("trend").replaceChildren(...m.trend.buckets.map(b => {
    const bar = el("div", "");
    bar.style.height = 100 * Number(b.tokens.total) / most + "%";
    bar.title = `${b.local_start}: ${number(b.tokens.total)}`;
    return bar;
  }));
  const beyond = [["before", m.trend.before], ["after", m.trend.after]].filter(([, sums]) => sums.responses !== "0");
  at("beyond").textContent = beyond.map(([side, sums]) =>
    `${number(sums.responses)} responses with ${number(sums.tokens.total)} tokens are dated ${side} the range of this chart`).join("; ");
  at("tables").replaceChildren(...["projects", "models", "sessions"].flatMap(kind => {
    const table = el("table", "");
    const row = (cell, ...texts) => {
      const tr = el("tr", "");
      tr.append(...texts.map(text => el(cell, text)));
      return tr;
    };
    table.append(row("th", "", "tokens", "output", "responses"));
    for (const g of m[kind].rows)
      table.append(row("td", shown(g.name) || "(none)", number(g.tokens.total), number(g.tokens.output), number(g.responses)));
    return [el("h2", `${number(m[kind].groups)} ${kind}`), table];
  }));
}

async function refresh() {
  try {
    const response = await fetch(`/api/v1/dashboard?limit=10&zone=${encodeURIComponent(zone)}&${ranges[chosen]}`);
    const answer = await response.json();
    if (!response.ok) throw `${answer.title}: ${answer.detail}`;
    show(answer);
    at("error").textContent = "";
  } catch (error) { at("error").textContent = shown(String(error)); }
}

for (const name of Object.keys(ranges)) {
  const button = el("button", name);
  button.onclick = () => { chosen = name; mark(); refresh(); };
  at("ranges").append(button);
}
const mark = () => { for (const b of at("ranges").children) b.setAttribute("aria-pressed", b.textContent === chosen); };
mark();
refresh();
setInterval(refresh, 5000);
