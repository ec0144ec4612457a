// The page: loads the list of scenes, ties the controls to the state and the state to the maps.
import { $, area, date, fetchJson, make, swatch, tell } from "./dom.js";
import { choose, drawDetail, drawFound, drawOnMaps, exportCsv, exportGeoJson, leastArea, loadFound, step } from "./found.js";
import { addVectorLayers, drawMarks, drawObjects, drawOpacity, drawPictures } from "./layers.js";
import { both, drawSwipe, fit, listenSwipe, makeMaps, maps, moveSwipe, recolour, within } from "./maps.js";
import { addMeasure, measuring, toggleMeasure } from "./measure.js";
import { listenPlaces, loadPlaces } from "./places.js";
import { change, link, listen, recall, state } from "./state.js";

const LAYERS = ["sar", "optical", "tags", "trust"];
const REFRESH_S = 20;
const NOTHING = "No finished products here yet: they appear by themselves";
let products = new Map(), legend = null;
const current = () => products.get(state.scene);
const failed = (error) => tell(`Something went wrong: ${error.message}`);

async function loadProducts() {
  const listed = (await fetchJson("products.json")).products;
  const same = [...products.values()].map((one) => one.key + one.stamp).join() === listed.map((one) => one.key + one.stamp).join();
  products = new Map(listed.map((one) => [one.key, one]));
  if (same) return;
  $("scene").replaceChildren(...listed.toReversed().map((one) => (
    make("option", { value: one.key, textContent: `${one.key} · ${date(one.datetime, one.dated).slice(0, 10)}` }))));
  if (!current() && listed.length) change({ scene: listed.at(-1).key });
  $("scene").value = state.scene;
  drawTimes();
}

function touching() { // scenes of this place, by time
  const [west, south, east, north] = current().bbox;
  return [...products.values()].filter(({ bbox }) => bbox[0] < east && west < bbox[2] && bbox[1] < north && south < bbox[3]);
}

function drawTimes() {
  if (!current()) return;
  const series = touching(), index = series.findIndex((one) => one.key === state.scene);
  $("times").hidden = $("before-row").hidden = series.length < 2;
  Object.assign($("time"), { max: series.length - 1, value: index });
  $("time").setAttribute("aria-valuetext", date(current().datetime, current().dated));
  $("time-shown").textContent = date(current().datetime, current().dated);
  $("before").replaceChildren(make("option", { value: "", textContent: "the same scene" }), ...series
    .filter((one) => one.key !== state.scene)
    .map((one) => make("option", { value: one.key, textContent: `${date(one.datetime, one.dated)} · ${one.key}` })));
  $("before").value = state.before;
}

function describe(product) {
  if (!products.has(state.before) || state.before === state.scene) state.before = "";
  $("scene").value = state.scene;
  $("facts").replaceChildren(
    make("span", { textContent: product.source, title: product.source }),
    product.simulated ? make("span", { textContent: "Simulated: shows no real place." }) : "",
    `${product.dated ? "Acquired " : "Acquired: "}${date(product.datetime, product.dated)} · `,
    make("a", { href: product.report, textContent: "Report", target: "_blank", rel: "noopener" }), " · ",
    make("a", { href: product.stac, textContent: "STAC item", target: "_blank", rel: "noopener" }));
  drawTimes();
}

async function showScene(jump) {
  const product = current();
  if (!product) { tell(NOTHING); return; }
  describe(product);
  if (jump) fit(product.bbox, false);
  drawPictures(products);
  drawObjects(product, legend.classes).catch(failed);
  await loadFound(product, legend);
}

function radios(side) {
  const buttons = LAYERS.map((layer) => {
    const input = make("input", { type: "radio", name: side, value: layer, checked: state[side] === layer });
    input.onchange = () => change({ [side]: layer });
    return make("label", {}, input, legend.layers[layer]);
  });
  $(`layer-${side}`).append(...buttons);
}

function slider(id, shown) {
  const input = $(id), output = input.parentElement.querySelector("output");
  const draw = () => { input.value = state[id]; output.textContent = shown(state[id]); };
  input.oninput = () => change({ [id]: +input.value });
  listen((changed) => changed.has(id) && draw());
  draw();
}

function controls() {
  radios("left"); radios("right");
  slider("opacity", (value) => `${value} %`);
  slider("veil", (value) => (value ? `${value} %` : "off"));
  slider("score", (value) => (value / 100).toFixed(2));
  slider("area", () => area(leastArea()));
  $("ramp").style.background = `linear-gradient(90deg, ${legend.trust.join(", ")})`;
  for (const id of ["objects", "anomalies"]) {
    $(id).checked = state[id];
    $(id).onchange = () => change({ [id]: $(id).checked });
  }
  $("classes").replaceChildren(...legend.classes.map(({ name, title, colour, description }) => {
    const chip = make("button", { type: "button", title: description }, swatch(colour), title);
    chip.setAttribute("aria-pressed", !state.hideClasses.includes(name));
    chip.onclick = () => {
      const hidden = state.hideClasses.includes(name);
      change({ hideClasses: hidden ? state.hideClasses.filter((one) => one !== name) : [...state.hideClasses, name], objects: true });
      chip.setAttribute("aria-pressed", hidden);
    };
    return chip;
  }));
  $("scene").onchange = () => change({ scene: $("scene").value, before: "", chosen: "" });
  $("before").onchange = () => change({ before: $("before").value });
  $("time").oninput = () => change({ scene: touching()[$("time").value].key, chosen: "" });
  $("csv").onclick = exportCsv;
  $("geojson").onclick = exportGeoJson;
  $("close").onclick = () => change({ chosen: "" });
  $("zoom-in").onclick = () => maps.right?.zoomIn();
  $("zoom-out").onclick = () => maps.right?.zoomOut();
  $("fit").onclick = () => current() && fit(current().bbox);
  $("measure").onclick = () => toggleMeasure();
  $("theme").onclick = turnTheme;
  $("help").onclick = () => $("keys").showModal();
  $("share").onclick = async () => {
    history.replaceState(null, "", link());
    try { await navigator.clipboard.writeText(link()); tell("Link copied", 3); } catch { tell("The link is in the address bar", 3); }
  };
}

function turnTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* for this visit only */ }
  recolour();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target.matches("select, input:not([type=range], [type=radio], [type=checkbox])")) return;
  const digit = /^Digit([1-4])$/.exec(event.code);
  const actions = {
    "[": () => moveSwipe(-5), "]": () => moveSwipe(5), j: () => step(1), k: () => step(-1), m: () => toggleMeasure(),
    v: () => change({ veil: state.veil ? 0 : 80 }), f: $("fit").onclick, t: turnTheme, "?": $("help").onclick,
    Escape: () => (measuring() ? toggleMeasure(false) : change({ chosen: "" })),
  };
  if (digit) change({ [event.shiftKey ? "left" : "right"]: LAYERS[digit[1] - 1] });
  else actions[event.key]?.();
}

function follow(changed, before) {
  if (changed.has("scene")) {
    const old = products.get(before.scene)?.bbox, now = current()?.bbox;
    const apart = !old || !now || old[0] > now[2] || now[0] > old[2] || old[1] > now[3] || now[1] > old[3];
    showScene(apart).catch(failed);
  } else if (["left", "right", "before"].some((key) => changed.has(key)) || (changed.has("veil") && !(state.veil && before.veil))) {
    drawPictures(products);
    drawMarks(legend);
    for (const side of ["left", "right"]) document.querySelector(`input[name=${side}][value=${state[side]}]`).checked = true;
  } else if (changed.has("veil") || changed.has("opacity")) drawOpacity();
  if (changed.has("swipe")) drawSwipe();
  if (["hideKinds", "score", "area", "anomalies"].some((key) => changed.has(key))) drawFound();
  if (["hideClasses", "objects", "at"].some((key) => changed.has(key))) drawObjects(current(), legend.classes).catch(failed);
  if (changed.has("objects")) $("objects").checked = state.objects;
  if (changed.has("chosen")) drawDetail();
}

function whereTo() {
  const [zoom, lat, lon] = state.at.split("/").map(Number);
  if ([zoom, lat, lon].every(Number.isFinite)) return { zoom, center: [lon, lat] };
  return current() ? within(current().bbox) : { zoom: 1, center: [0, 20] };
}

async function showMaps() {
  await makeMaps(whereTo());
  addVectorLayers(legend);
  addMeasure();
  listenPlaces();
  both((map) => map.on("click", "anomalies-dot", (event) => !measuring() && choose(event.features[0].properties.id, false)));
  drawPictures(products);
}

async function start() {
  recall();
  for (const side of ["left", "right"]) if (!LAYERS.includes(state[side])) state[side] = "optical";
  [legend] = await Promise.all([fetchJson("legend.json"), loadProducts()]);
  controls();
  listenSwipe();
  drawSwipe();
  drawMarks(legend);
  listen(follow);
  document.addEventListener("keydown", keys);
  const product = current();
  if (product) describe(product);
  else tell(NOTHING);
  await Promise.all([ // what is read and what is drawn come side by side
    product && loadFound(product, legend).catch(failed),
    showMaps().catch((error) => tell(`The map cannot be drawn: ${error.message}`)),
  ]);
  drawOnMaps();
  drawObjects(current(), legend.classes).catch(failed);
  loadPlaces().catch(() => { /* a map without names is a map */ });
  document.body.dataset.ready = "yes";
  setInterval(() => loadProducts().catch(() => tell("The server does not answer", 10)), 1000 * REFRESH_S);
}

start().catch(failed);
