// The anomalies: filters, the list, the panel with the evidence, export.
import { $, area, date, fetchJson, make, odds, save, swatch } from "./dom.js";
import { drawAnomalies, drawChosen } from "./layers.js";
import { fly } from "./maps.js";
import { change, state } from "./state.js";

const MOST_LISTED = 400;
const KNOWN = ["id", "kind", "score", "reason", "area_m2", "pixels", "tag", "lon", "lat", "evidence_sar", "evidence_optical"];
const decibels = (value) => `${value.toFixed(1)} dB`;
const moment = (text) => (text.includes("T") && Date.parse(text) ? date(text) : text);
const worded = (tags) => tags.replaceAll("_", " ");
const NAMED = { // columns of our own; those that were joined say what they are called
  length_m: ["Length", (value) => `${Math.round(value)} m`], orientation_deg: ["Orientation", (value) => `${Math.round(value)}°`],
  before_db: ["Before", decibels], after_db: ["After", decibels], since: ["Since", moment],
  q_value: ["False ones among such", odds], p_value: ["By chance", odds], expected: ["Expected", worded],
  first_seen: ["First seen", moment],
};
const plain = (value) => (typeof value === "number" && !Number.isInteger(value) ? String(+value.toPrecision(5)) : String(value));
let all = [], shown = [], product = null, kinds = new Map();

export const leastArea = () => (state.area ? Math.round(10 ** (2 + state.area / 10)) : 0);
const kindOf = (name) => kinds.get(name) ?? kinds.get("");

export async function loadFound(wanted, legend) {
  product = wanted;
  kinds = new Map(legend.kinds.map((kind) => [kind.name, kind]));
  const found = await fetchJson(`vectors/${encodeURIComponent(wanted.key)}/anomalies.geojson?limit=10000`);
  if (product !== wanted) return; // another scene was chosen meanwhile
  all = found.features;
  drawKinds();
  drawFound();
}

function drawKinds() {
  const counts = new Map();
  for (const { properties } of all) counts.set(properties.kind, (counts.get(properties.kind) ?? 0) + 1);
  $("kinds").replaceChildren(...[...counts].map(([name, count]) => {
    const chip = make("button", { type: "button" }, swatch(kindOf(name).colour), `${kindOf(name).title} ${count}`);
    chip.setAttribute("aria-pressed", !state.hideKinds.includes(name));
    chip.dataset.kind = name;
    chip.onclick = () => {
      const hidden = state.hideKinds.includes(name);
      change({ hideKinds: hidden ? state.hideKinds.filter((kind) => kind !== name) : [...state.hideKinds, name] });
      chip.setAttribute("aria-pressed", hidden);
    };
    return chip;
  }));
}

export function drawFound() {
  const least = leastArea();
  shown = all.filter(({ properties: { kind, score, area_m2: m2 } }) => (
    !state.hideKinds.includes(kind) && (score ?? 0) >= state.score / 100 && (m2 ?? 0) >= least));
  $("count").textContent = shown.length === all.length ? `${all.length} found` : `${shown.length} of ${all.length}`;
  $("list").replaceChildren(...shown.slice(0, MOST_LISTED).map(({ properties }) => {
    const kind = kindOf(properties.kind);
    const entry = make("button", { type: "button" }, swatch(kind.colour), make("span", { textContent: kind.title }),
      make("b", { textContent: (properties.score ?? 0).toFixed(2) }), make("small", { textContent: properties.reason }));
    entry.dataset.id = properties.id;
    entry.onclick = () => choose(properties.id);
    return make("li", {}, entry);
  }));
  if (shown.length > MOST_LISTED) {
    $("list").append(make("li", { className: "quiet", textContent: `the strongest ${MOST_LISTED}; filter to see others` }));
  }
  if (!all.length) $("list").append(make("li", { className: "quiet", textContent: "Nothing was flagged; that is no proof that there is nothing." }));
  drawOnMaps();
  drawDetail();
}

export function drawOnMaps() {
  drawAnomalies(shown);
  drawChosen();
}

export function choose(id, far = true) {
  change({ chosen: id });
  const found = all.find(({ properties }) => properties.id === id);
  if (found && far) fly(found.properties.lon, found.properties.lat);
}

export function step(by) {
  const index = shown.findIndex(({ properties }) => properties.id === state.chosen);
  const next = shown[Math.min(shown.length - 1, Math.max(0, index + by))];
  if (next) choose(next.properties.id);
}

export function drawDetail() {
  const found = all.find(({ properties }) => properties.id === state.chosen);
  for (const entry of $("list").querySelectorAll("button")) {
    const current = entry.dataset.id === state.chosen;
    entry.setAttribute("aria-current", current);
    if (current) entry.scrollIntoView({ block: "nearest" });
  }
  drawChosen();
  $("detail").hidden = !found;
  if (!found) return;
  const told = found.properties, base = `evidence/${encodeURIComponent(product.key)}/anomalies/${told.id}`;
  $("d-title").textContent = kindOf(told.kind).title;
  $("d-reason").textContent = told.reason;
  $("d-sar").parentElement.hidden = !product.layers.includes("sar");
  if (product.layers.includes("sar")) $("d-sar").src = `${base}/sar.png?s=${product.stamp}`;
  $("d-optical").src = `${base}/optical.png?s=${product.stamp}`;
  const rows = [["Score", (told.score ?? 0).toFixed(3)], ["Area", area(told.area_m2)], ["Land cover", worded(told.tag ?? "")],
    ["Place", `${told.lat.toFixed(5)}, ${told.lon.toFixed(5)}`]];
  for (const [name, value] of Object.entries(told)) {
    const [title, write] = NAMED[name] ?? [name.replaceAll("_", " "), plain];
    if (!KNOWN.includes(name) && value !== null && value !== "") rows.push([title, write(value)]);
  }
  $("d-facts").replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => (
    [make("dt", { textContent: name }), make("dd", { textContent: value })])));
}

// ---- export of the filtered list ----

function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text; // no formula
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function exportCsv() {
  const columns = [...new Set(shown.flatMap(({ properties }) => Object.keys(properties)))];
  const rows = shown.map(({ properties }) => columns.map((name) => cell(properties[name])).join(","));
  save(`${product.scene}_anomalies.csv`, "text/csv", [columns.join(","), ...rows, ""].join("\r\n"));
}

export function exportGeoJson() {
  save(`${product.scene}_anomalies.geojson`, "application/geo+json", JSON.stringify({ type: "FeatureCollection", features: shown }));
}
