/* The experts, each to be muted, left alone or favoured, in every layer or in one. The wishes are text, as in MoCRequest:
   props.value.mute = "3 0.5", props.value.bias = "2=1.5"; what this board does not show, it leaves as it is. */
const box = element.querySelector(".moc-board");
let where = "", strength = 2; // a layer's number, or "" for all of them

const words = (text) => (text ?? "").replaceAll(",", " ").split(/\s+/).filter(Boolean);
const name = (expert) => (where === "" ? `${expert}` : `${where}.${expert}`);

const which = (entry) => entry.split("=")[0], added = (entry) => Number(entry.split("=")[1]);

/* In a layer, what is wished for all of them counts too. An expert that is disfavoured is in none of the three states. */
function stateOf(expert) {
  const mine = (entry) => which(entry) === `${expert}` || which(entry) === name(expert);
  if (words(props.value.mute).some(mine)) return "mute";
  const bias = words(props.value.bias).filter(mine).reduce((sum, entry) => sum + added(entry), 0);
  return bias > 0 ? "favour" : bias < 0 ? "" : "normal";
}

function draw() {
  const value = props.value;
  if (!value?.experts) { box.innerHTML = `<p class="lunaris-hint">${WORDS.board_none}</p>`; return; }
  if (where !== "" && Number(where) >= value.layers) where = "";
  const layers = ["", ...Array.from({ length: value.layers }, (_, i) => `${i}`)].map((layer) =>
    `<button type="button" class="lunaris-chip" data-where="${layer}" aria-pressed="${layer === where}">${layer === "" ? WORDS.board_all : `${WORDS.layer} ${layer}`}</button>`).join("");
  const rows = Array.from({ length: value.experts }, (_, expert) => {
    const state = stateOf(expert);
    const buttons = ["mute", "normal", "favour"].map((wish) =>
      `<button type="button" data-expert="${expert}" data-wish="${wish}" aria-pressed="${wish === state}">${WORDS[`board_${wish}`]}<span class="sr-only"> ${WORDS.expert} ${expert}</span></button>`).join("");
    return `<li data-state="${state}"><b><span class="word">${WORDS.expert}</span> ${expert}</b><div class="wishes" role="group">${buttons}</div></li>`;
  }).join("");
  box.innerHTML = `<h4 class="lunaris-label">${WORDS.board_layer}</h4><div class="lunaris-chips">${layers}</div>
    <label class="strength"><span>${WORDS.board_strength} <b>${strength.toFixed(1)}</b></span><input type="range" min="0.5" max="8" step="0.5" value="${strength}"></label>
    <ul>${rows}</ul>`;
}

function wish(expert, state) {
  const own = name(expert), value = props.value, others = Array.from({ length: value.layers }, (_, i) => `${i}`).filter((layer) => layer !== where);
  const rest = (text) => words(text).flatMap((entry) => // of a wish for all layers, what a wish for this one leaves to the others
    which(entry) === own ? [] : which(entry) === `${expert}` ? others.map((layer) => `${layer}.${entry}`) : [entry]);
  const mute = rest(value.mute), bias = rest(value.bias);
  if (state === "mute") mute.push(own);
  if (state === "favour") bias.push(`${own}=${strength}`);
  tell(mute, bias);
}
function tell(mute, bias) {
  props.value = { ...props.value, mute: mute.join(" "), bias: bias.join(" ") };
  draw();
  trigger("input");
}

element.addEventListener("click", (event) => {
  const layer = event.target.closest("[data-where]"), button = event.target.closest("[data-expert]");
  if (layer) { where = layer.dataset.where; draw(); box.querySelector(`[data-where="${where}"]`).focus(); }
  if (button) {
    const { expert, wish: state } = button.dataset;
    wish(Number(expert), state);
    box.querySelector(`[data-expert="${expert}"][data-wish="${state}"]`).focus();
  }
});
element.addEventListener("input", (event) => {
  if (event.target.type !== "range") return;
  event.stopPropagation();
  strength = Number(event.target.value);
  event.target.closest("label").querySelector("b").textContent = strength.toFixed(1);
});
/* A new strength is that of all that are favoured here. */
element.addEventListener("change", (event) => {
  if (event.target.type !== "range") return;
  event.stopPropagation();
  const mine = (entry) => added(entry) > 0 && (where === "" ? !which(entry).includes(".") : entry.startsWith(`${where}.`));
  const bias = words(props.value.bias);
  if (bias.some(mine)) tell(words(props.value.mute), bias.map((entry) => (mine(entry) ? `${which(entry)}=${strength}` : entry)));
});

watch("value", draw);
draw();
