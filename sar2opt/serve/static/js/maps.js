// Two maps that move as one, the right one cut off at the swipe.
import { $, make } from "./dom.js";
import { change, state } from "./state.js";

const ROOM = 40; // pixels around a scene
const VERSION = "5.24.1"; // browsers keep what comes under it
const vendor = (name) => new URL(`../vendor/${name}?v=${VERSION}`, import.meta.url).href;
const library = new Promise((resolve, reject) => { // comes while the list is read: it is large
  document.head.append(make("script", {
    src: vendor("maplibre-gl-csp.js"), onload: () => resolve(window.maplibregl),
    onerror: () => reject(new Error("the map library did not come")),
  }));
});

export const maps = {}; // left and right, once they can be drawn on
export const both = (work) => Object.values(maps).forEach(work);

function graticule() {
  const lines = [];
  for (const [step, rank] of [[10, 0], [1, 1]]) {
    for (let x = -180; x <= 180; x += step) lines.push({ rank, line: [[x, -85], [x, 85]] });
    for (let y = -80; y <= 80; y += step) lines.push({ rank, line: [[-180, y], [180, y]] });
  }
  return {
    type: "FeatureCollection",
    features: lines.map(({ rank, line }) => (
      { type: "Feature", properties: { rank }, geometry: { type: "LineString", coordinates: line } })),
  };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawGraticule(map) {
  map.addSource("graticule", { type: "geojson", data: graticule() });
  map.addLayer({ id: "graticule", type: "line", source: "graticule", filter: ["any", ["==", ["get", "rank"], 0], [">=", ["zoom"], 6]],
    paint: { "line-color": colour("--line"), "line-width": 0.8 } }, map.getLayersOrder()[1]);
}

export async function makeMaps(view) { // view: where to look, as MapLibre says it
  const { Map, ScaleControl, setWorkerUrl } = await library;
  setWorkerUrl(vendor("maplibre-gl-csp-worker.js"));
  const made = {}, ground = { id: "ground", type: "background", paint: { "background-color": colour("--ground") } };
  for (const side of ["left", "right"]) {
    const map = new Map({
      container: side, style: { version: 8, sources: {}, layers: [ground] }, ...view, attributionControl: false,
      dragRotate: false, pitchWithRotate: false, touchPitch: false, fadeDuration: 120, maxZoom: 18, renderWorldCopies: false,
    });
    map.touchZoomRotate.disableRotation();
    map.getCanvas().setAttribute("aria-label", `Map, ${side} of the swipe`);
    map.addControl(new ScaleControl({ maxWidth: 120 }), `bottom-${side}`);
    map.once("idle", () => drawGraticule(map)); // the pictures come first
    made[side] = map;
  }
  moveAsOne(made);
  await Promise.all(Object.values(made).map((map) => map.once("style.load")));
  Object.assign(maps, made);
}

function moveAsOne({ left, right }) {
  let moving = false;
  for (const [one, other] of [[left, right], [right, left]]) {
    one.on("move", () => {
      if (moving) return;
      moving = true;
      other.jumpTo({ center: one.getCenter(), zoom: one.getZoom() });
      moving = false;
    });
  }
  right.on("moveend", () => {
    const { lng, lat } = right.getCenter();
    change({ at: `${right.getZoom().toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}` });
  });
}

export const within = ([west, south, east, north]) => ({ bounds: [[west, south], [east, north]], fitBoundsOptions: { padding: ROOM } });

export function fit(bbox, animate = true) {
  const { bounds } = within(bbox);
  maps.right?.fitBounds(bounds, { padding: ROOM, animate });
}

export function fly(lon, lat) {
  if (!maps.right) return;
  const hidden = Math.abs(state.swipe - 50) < 8; // the place would come to lie under the swipe
  const zoom = Math.max(maps.right.getZoom(), 14);
  maps.right.flyTo({ center: [lon, lat], zoom, speed: 1.6, offset: [hidden ? 90 : 0, 0] });
}

export function recolour() {
  both((map) => {
    map.setPaintProperty("ground", "background-color", colour("--ground"));
    if (map.getLayer("graticule")) map.setPaintProperty("graticule", "line-color", colour("--line"));
  });
}

// ---- the swipe ----

export function drawSwipe() {
  const percent = Math.min(100, Math.max(0, state.swipe));
  const handle = $("swipe");
  handle.style.left = `${percent}%`;
  handle.setAttribute("aria-valuenow", Math.round(percent));
  $("right").style.clipPath = `inset(0 0 0 ${percent}%)`;
  $("mark-left").hidden = percent < 2;
  $("mark-right").hidden = percent > 98;
}

export function moveSwipe(by) { change({ swipe: Math.min(100, Math.max(0, state.swipe + by)) }); }

export function listenSwipe() {
  const handle = $("swipe");
  handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const stage = $("stage").getBoundingClientRect();
    change({ swipe: Math.min(100, Math.max(0, (100 * (event.clientX - stage.left)) / stage.width)) });
  });
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -5, ArrowRight: 5, Home: -100, End: 100 };
    if (event.key in steps) { event.preventDefault(); moveSwipe(steps[event.key]); }
  });
}
