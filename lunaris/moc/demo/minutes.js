/* The council's minutes: a strip of tokens, the picked one's councils layer by layer, and who was chosen over the whole text.
   All of it is in props.value; pointing at a token asks the server nothing. WORDS holds the texts, as HTML in both languages. */
const box = element.querySelector(".moc-minutes");
let pinned = 0, shown = 0, layer = 0;

const plain = (text) => String(text).replace(/[&<>"]/g, (c) => "&#" + c.charCodeAt(0) + ";");
const visible = (text) => text === "<|endoftext|>" ? WORDS.end_of_text : plain(text).replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣");
const percent = (share) => `${Math.round(100 * share)}%`;
const chance = (p) => (p >= 0.01 ? percent(p) : p >= 0.0001 ? `${(100 * p).toPrecision(1)}%` : "< 0.01%");
const score = (value) => (value === null ? WORDS.muted : value.toFixed(2));

/* --- the whole: strip, details, matrix */
function draw() {
  const data = props.value;
  if (!data || !data.tokens?.length) { box.replaceChildren(); return; }
  layer = Math.min(layer, Math.max(0, data.layers.length - 1));
  const first = data.given < data.tokens.length ? data.given : data.tokens.length - 1; // the first that the model wrote
  pinned = shown = Math.max(0, first);
  const most = Math.max(8, ...data.tokens.map((token) => token.bits));
  const chips = data.tokens.map((token, i) => `<button type="button" class="token" data-token="${i}" data-whose="${i < data.given ? "given" : "own"}"
      tabindex="${i === pinned ? 0 : -1}" aria-pressed="${i === pinned}" style="--surprise:${(token.bits / most).toFixed(3)}">${visible(token.shown) || "·"}<i></i>
      <span class="sr-only">${token.bits.toFixed(1)} bits</span></button>`).join("");
  const head = `<p class="lunaris-hint" id="moc-strip-name"><b>${data.tokens.length}</b> ${WORDS.of_tokens} ·
    <b>${data.bits_per_byte.toFixed(3)}</b> ${WORDS.summary}. ${WORDS.strip_hint}</p>`;
  const note = data.note ? `<p class="lunaris-hint">${plain(data.note)}</p>` : "";
  const next = data.next.length ? `<p class="lunaris-hint">${WORDS.next}: ${guesses(data.next)}</p>` : "";
  const none = data.layers.length ? "" : `<p class="lunaris-hint">${WORDS.no_experts}</p>`;
  box.innerHTML = `${head}${note}<div class="strip" role="group" aria-labelledby="moc-strip-name">${chips}</div>${next}${none}
    <div class="facts-now" role="status"></div><div class="details"></div>${data.layers.length ? `<div class="over"></div>` : ""}`;
  details();
  over();
}

const guesses = (list) => list.map((guess) => `<b class="guess">${visible(guess.shown) || "·"}</b> ${chance(guess.probability)}`).join(", ");

/* --- one token */
function details() {
  const data = props.value, token = data.tokens[shown];
  const whose = shown < data.given ? WORDS.given : WORDS.own;
  const facts = `<p class="facts"><b class="picked">${visible(token.shown) || "·"}</b>
    <span>${WORDS.token} ${shown + 1} ${WORDS.of_all} ${data.tokens.length}, ${whose}</span>
    <span>${WORDS.cost} <b>${token.bits.toFixed(2)}</b> ${WORDS.bits} (${token.nats.toFixed(2)} nats)</span>
    <span>${WORDS.chance} <b>${chance(token.probability)}</b></span></p>
    <p class="facts"><span>${WORDS.expected}: ${guesses(token.expected)}</span></p>`;
  const hint = data.layers.length ? `<p class="lunaris-hint">${WORDS.scores_hint}</p>` : "";
  box.querySelector(".facts-now").innerHTML = facts; // said aloud; the tables are there to be read
  box.querySelector(".details").innerHTML = `${hint}<div class="layers">${data.layers.map((_, i) => council(i)).join("")}</div>`;
}

/* One layer's council over the shown token: a table whose cells are the picture. */
function council(number) {
  const minutes = props.value.layers[number], before = minutes.before[shown], after = minutes.after[shown];
  const chosen = minutes.chosen[shown], weights = minutes.weights[shown], shares = minutes.shares[shown];
  const values = [...before, ...after].filter((value) => value !== null), low = Math.min(0, ...values), range = Math.max(0, ...values) - low || 1;
  const at = (value) => 100 * (value - low) / range;
  const span = (value) => `--from:${at(Math.min(0, value)).toFixed(1)}%;--width:${(100 * Math.abs(value) / range).toFixed(1)}%`;
  const rows = before.map((was, expert) => {
    const rank = chosen.indexOf(expert), now = after[expert];
    const bars = `<i class="was" style="${span(was)}"></i>${now === null ? "" : `<i class="now" style="${span(now)}"></i>`}`;
    const won = rank < 0 ? `<td></td><td></td>` : `<td><span class="rank">${rank + 1}</span>${percent(weights[rank])}</td><td>${percent(shares[rank])}</td>`;
    return `<tr class="${rank < 0 ? "" : "won"}"><th scope="row">${expert}</th><td class="bars" aria-hidden="true"><div style="--zero:${at(0).toFixed(1)}%">${bars}</div></td>
      <td class="scores">${score(was)} → ${score(now)}</td>${won}</tr>`;
  }).join("");
  return `<section><h4>${WORDS.layer} ${number}</h4><table class="scores-table"><thead><tr><th scope="col"><abbr>#</abbr><span class="sr-only">${WORDS.expert}</span></th>
    <td class="bars" aria-hidden="true"></td><th scope="col">${WORDS.before} → ${WORDS.after}</th><th scope="col">${WORDS.weight}</th><th scope="col">${WORDS.share}</th></tr></thead>
    <tbody>${rows}</tbody></table>${peers(minutes, chosen)}</section>`;
}

/* How much each chosen expert looks at each other one, or at all: numbers on the heat. */
function peers(minutes, chosen) {
  if (!minutes.peers) return `<p class="lunaris-hint">${WORDS.no_peers}</p>`;
  const rows = minutes.peers[shown], columns = rows[0].length === chosen.length ? chosen : rows[0].map((_, expert) => expert);
  const head = columns.map((expert) => `<th scope="col">${expert}</th>`).join("");
  const body = rows.map((row, i) => `<tr><th scope="row">${chosen[i]}</th>${row.map((part) =>
    `<td><i style="opacity:${(0.45 * part).toFixed(3)}"></i><span>${part.toFixed(2)}</span></td>`).join("")}</tr>`).join("");
  return `<div class="peers"><p>${WORDS.peers} (${WORDS.peers_hint})</p><table><caption class="sr-only">${WORDS.peers}</caption>
    <thead><tr><td></td>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/* --- over the text */
const CELL = 16, ROW = 26;
function over() {
  const place = box.querySelector(".over"), data = props.value;
  if (!place) return;
  const minutes = data.layers[layer], experts = data.n_experts, count = data.tokens.length;
  const tabs = data.layers.map((_, i) => `<button type="button" class="lunaris-chip" data-layer="${i}" aria-pressed="${i === layer}">${WORDS.layer} ${i}</button>`).join("");
  const marks = [];
  minutes.chosen.forEach((row, i) => row.forEach((expert, rank) => {
    const side = 5 + (CELL - 6) * Math.min(1, minutes.weights[i][rank]);
    marks.push(`<rect x="${(i * CELL + (CELL - side) / 2).toFixed(1)}" y="${(expert * ROW + (ROW - side) / 2).toFixed(1)}" width="${side.toFixed(1)}" height="${side.toFixed(1)}" rx="2"/>`);
  }));
  const lines = Array.from({ length: experts }, (_, e) => `<line x1="0" x2="${count * CELL}" y1="${(e + 0.5) * ROW}" y2="${(e + 0.5) * ROW}"/>`).join("");
  const load = minutes.load.map((share, expert) => `<tr><th scope="row">${expert}</th><td class="load"><i style="width:${percent(share / Math.max(...minutes.load, 1e-9))}"></i><span>${percent(share)}</span></td></tr>`).join("");
  place.innerHTML = `<h4>${WORDS.who}</h4><div class="lunaris-chips">${tabs}</div><p class="lunaris-hint">${WORDS.who_hint}</p>
    <div class="matrix"><table style="--row:${ROW}px"><caption class="sr-only">${WORDS.load}</caption><tbody>${load}</tbody></table>
    <div class="scroll"><svg width="${count * CELL}" height="${experts * ROW}" aria-hidden="true">${lines}<rect class="here" width="${CELL}" height="${experts * ROW}" rx="3"/>${marks.join("")}</svg></div></div>`;
  here();
}

function here() {
  box.querySelector(".here")?.setAttribute("x", shown * CELL);
}

/* --- pointing, clicking, keys */
function show(token) {
  if (token === shown) return;
  shown = token;
  details();
  here();
}
function pin(token, focus) {
  pinned = token;
  box.querySelectorAll(".token").forEach((chip, i) => {
    chip.setAttribute("aria-pressed", i === token);
    chip.tabIndex = i === token ? 0 : -1;
    if (i === token && focus) chip.focus({ preventScroll: false });
  });
  show(token);
}
const tokenOf = (event) => event.target.closest?.("[data-token]");
const columnOf = (event) => {
  const svg = event.target.closest?.(".matrix svg");
  return svg ? Math.min(props.value.tokens.length - 1, Math.max(0, Math.floor((event.clientX - svg.getBoundingClientRect().left) / CELL))) : null;
};
element.addEventListener("pointerover", (event) => {
  const chip = tokenOf(event);
  if (chip && event.pointerType === "mouse") show(Number(chip.dataset.token));
});
element.addEventListener("pointerout", (event) => {
  if (tokenOf(event) && event.pointerType === "mouse" && !event.relatedTarget?.closest?.("[data-token]")) show(pinned);
});
element.addEventListener("click", (event) => {
  const chip = tokenOf(event), column = columnOf(event), tab = event.target.closest("[data-layer]");
  if (chip) pin(Number(chip.dataset.token));
  else if (column !== null) pin(column);
  else if (tab) { layer = Number(tab.dataset.layer); over(); box.querySelector(`[data-layer="${layer}"]`).focus(); }
});
element.addEventListener("keydown", (event) => {
  if (!tokenOf(event)) return;
  const last = props.value.tokens.length - 1;
  const to = { ArrowLeft: pinned - 1, ArrowRight: pinned + 1, ArrowUp: above(-1), ArrowDown: above(1), Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  pin(Math.min(last, Math.max(0, to)), true);
});
/* The token in the line above or below, nearest to this one. */
function above(way) {
  const chips = [...box.querySelectorAll(".token")], from = chips[pinned].getBoundingClientRect();
  const lines = [...new Set(chips.map((chip) => chip.offsetTop))], line = lines[lines.indexOf(chips[pinned].offsetTop) + way];
  const others = chips.filter((chip) => chip.offsetTop === line);
  if (!others.length) return pinned;
  const far = (chip) => Math.abs(chip.getBoundingClientRect().left - from.left);
  return chips.indexOf(others.reduce((best, chip) => (far(chip) < far(best) ? chip : best)));
}

watch("value", draw);
draw();
