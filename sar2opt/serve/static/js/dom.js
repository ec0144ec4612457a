// Small helpers of the page.
export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function swatch(colour) {
  const dot = make("i", { ariaHidden: "true" });
  dot.style.background = colour;
  return dot;
}

export async function fetchJson(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} ${(await answer.json().catch(() => ({}))).detail ?? ""}`);
  return answer.json();
}

export function area(m2) {
  if (m2 >= 1e6) return `${(m2 / 1e6).toFixed(1)} km²`;
  if (m2 >= 1e4) return `${(m2 / 1e4).toFixed(1)} ha`;
  return `${Math.round(m2).toLocaleString("en")} m²`;
}

export function date(text, dated = true) {
  const shown = new Date(text).toISOString();
  return dated ? `${shown.slice(0, 10)} ${shown.slice(11, 16)} UTC` : "date unknown";
}

export function odds(share) { // of chance
  if (share <= 1e-12) return "less than 1 in 1 trillion"; // so far out, no one has counted
  if (share >= 0.01) return `${(100 * share).toPrecision(2)} %`;
  const words = new Intl.NumberFormat("en", { maximumSignificantDigits: 2, notation: share < 1e-6 ? "compact" : "standard", compactDisplay: "long" });
  return `1 in ${words.format(1 / share)}`;
}

let waiting = 0;
export function tell(text, seconds = 0) {
  $("told").textContent = text;
  clearTimeout(waiting);
  if (seconds) waiting = setTimeout(() => { $("told").textContent = ""; }, 1000 * seconds);
}

export function save(name, kind, text) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
