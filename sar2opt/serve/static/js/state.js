// What is shown: one object, kept in the address, so that a link brings the same view back.
export const state = {
  scene: "", before: "", left: "sar", right: "optical", swipe: 50, opacity: 100, veil: 0,
  objects: false, anomalies: true, hideKinds: [], hideClasses: [], score: 0, area: 0, chosen: "", at: "",
};
const defaults = structuredClone(state);
const listeners = [];

export function listen(listener) { listeners.push(listener); }

export function change(values) {
  const before = { ...state };
  Object.assign(state, values);
  const changed = new Set(Object.keys(values).filter((key) => String(before[key]) !== String(state[key])));
  if (changed.size) {
    for (const listener of listeners) listener(changed, before);
    remember();
  }
}

let waiting = 0;
function remember() {
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, "", link()), 150); // browsers limit how often
}

export function link() {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (String(value) !== String(defaults[key])) parts.set(key, Array.isArray(value) ? value.join(" ") : value);
  }
  return `${location.origin}${location.pathname}#${parts}`; // without a token
}

export function recall() {
  for (const [key, text] of new URLSearchParams(location.hash.slice(1))) {
    if (!(key in defaults)) continue;
    const kind = typeof defaults[key];
    if (Array.isArray(defaults[key])) state[key] = text.split(" ").filter(Boolean);
    else if (kind === "number") state[key] = Number.isFinite(+text) ? +text : defaults[key];
    else if (kind === "boolean") state[key] = text === "true";
    else state[key] = text;
  }
}
