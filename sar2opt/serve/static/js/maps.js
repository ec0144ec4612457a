// Two maps that move as one, the right one cut off at the swipe.
import { $ } from "./dom.js";
import { change, state } from "./state.js";

const { maplibregl } = window;
maplibregl.setWorkerUrl(new URL("../vendor/maplibre-gl-csp-worker.js", import.meta.url).href);

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

function baseStyle() {
  const colour = getComputedStyle(document.documentElement);
  return {
    version: 8,
    sources: { graticule: { type: "geojson", data: graticule() } },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": colour.getPropertyValue("--ground").trim() } },
      { id: "graticule", type: "line", source: "graticule", filter: ["any", ["==", ["get", "rank"], 0], [">=", ["zoom"], 6]],
        paint: { "line-color": colour.getPropertyValue("--line").trim(), "line-width": 0.8 } },
    ],
  };
}

function makeMap(container, shown) {
  const map = new maplibregl.Map({
    container, style: baseStyle(), center: [0, 20], zoom: 1, attributionControl: false, dragRotate: false,
    pitchWithRotate: false, touchPitch: false, fadeDuration: 120, maxZoom: 18, renderWorldCopies: false,
  });
  map.touchZoomRotate.disableRotation();
  map.getCanvas().setAttribute("aria-label", `Map, ${shown} of the swipe`);
  return map;
}

export const maps = { left: makeMap("left", "left"), right: makeMap("right", "right") };
export const both = (work) => Object.values(maps).forEach(work);
export const ready = Promise.all(Object.values(maps).map((map) => map.once("style.load")));

let moving = false;
for (const [one, other] of [[maps.left, maps.right], [maps.right, maps.left]]) {
  one.on("move", () => {
    if (moving) return;
    moving = true;
    other.jumpTo({ center: one.getCenter(), zoom: one.getZoom() });
    moving = false;
  });
}
maps.right.on("moveend", () => {
  const { lng, lat } = maps.right.getCenter();
  change({ at: `${maps.right.getZoom().toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}` });
});
maps.left.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-left");
maps.right.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-right");

export function fit(bounds, animate = true) {
  maps.right.fitBounds([[bounds[0], bounds[1]], [bounds[2], bounds[3]]], { padding: 40, animate });
}

export function fly(lon, lat) {
  const hidden = Math.abs(state.swipe - 50) < 8; // the place would come to lie under the swipe
  const zoom = Math.max(maps.right.getZoom(), 14);
  maps.right.flyTo({ center: [lon, lat], zoom, speed: 1.6, offset: [hidden ? 90 : 0, 0] });
}

export function recolour() {
  const colour = getComputedStyle(document.documentElement);
  both((map) => {
    map.setPaintProperty("ground", "background-color", colour.getPropertyValue("--ground").trim());
    map.setPaintProperty("graticule", "line-color", colour.getPropertyValue("--line").trim());
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
