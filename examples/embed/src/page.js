const number = n => Number(n).toLocaleString("en");
const percent = share => share == null ? "–" : (100 * share).toFixed(1) + " %";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
// Names in transcripts may contain characters that move, hide or reverse the surrounding text.
const shown = name => name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);
const at = id => document.getElementById(id);
const el = (name, text) => Object.assign(document.createElement(name), { textContent: text });
const ranges = { Today: "days=1&step=hour", "7 days": "days=7", "30 days": "days=30", All: "" };
let chosen = "All";

const sum = c => c.input + c.output + c.cache_creation + c.cache_read;

function show(m) {
  at("total").textContent = (m.completeness.at_least ? "at least " : "") + number(m.total_tokens) + " tokens";
  const age = m.data_age.last_sync_age;
  at("note").textContent = `${number(m.totals.responses)} responses in ${number(m.sessions.groups)} sessions` +
    (age ? `, transcripts last read ${number(age.secs)} s ago` : "") +
    (m.completeness.unfinished ? `; ${number(m.completeness.unfinished)} responses are unfinished` : "");
  const c = m.totals.counts;
  at("cards").replaceChildren(...[["Input", number(c.input)], ["Output", number(c.output)],
    ["Cache creation", number(c.cache_creation)], ["Cache read", number(c.cache_read)],
    ["Cache hit rate", percent(m.cache_hit_share)]].map(([name, value]) => {
      const card = el("div", "");
      card.append(el("small", name), el("b", value));
      return card;
    }));
  const most = Math.max(1, ...m.trend.buckets.map(b => sum(b.sums.counts)));
  at("trend-title").textContent = `By ${m.trend.step.toLowerCase()} (${m.trend.zone})`;
  at("trend").replaceChildren(...m.trend.buckets.map(b => {
    const bar = el("div", "");
    bar.style.height = 100 * sum(b.sums.counts) / most + "%";
    bar.title = `${b.local_start}: ${number(sum(b.sums.counts))}`;
    return bar;
  }));
  const beyond = [["before", m.trend.before], ["after", m.trend.after]].filter(([, sums]) => sums.responses > 0);
  at("beyond").textContent = beyond.map(([side, sums]) =>
    `${number(sums.responses)} responses with ${number(sum(sums.counts))} tokens are dated ${side} the range of this chart`).join("; ");
  at("tables").replaceChildren(...["projects", "models", "sessions"].flatMap(kind => {
    const table = el("table", "");
    const row = (cell, ...texts) => {
      const tr = el("tr", "");
      tr.append(...texts.map(text => el(cell, text)));
      return tr;
    };
    table.append(row("th", "", "tokens", "output", "responses"));
    for (const g of m[kind].rows.slice(0, 10))
      table.append(row("td", shown(g.name) || "(none)", number(sum(g.sums.counts)), number(g.sums.counts.output), number(g.sums.responses)));
    return [el("h2", `${number(m[kind].groups)} ${kind}`), table];
  }));
}

async function refresh() {
  try {
    const response = await fetch(`/tokens?zone=${encodeURIComponent(zone)}&${ranges[chosen]}`);
    if (!response.ok) throw await response.text();
    show(await response.json());
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
