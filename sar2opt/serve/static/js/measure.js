// Measuring: each click adds a point; length of the line, and area of what it encloses.
import { $, area, tell } from "./dom.js";
import { both } from "./maps.js";

const RADIUS = 6371008.8; // metres, mean
let points = [], active = false;

const radians = (degrees) => (degrees * Math.PI) / 180;

function distance([x0, y0], [x1, y1]) {
  const a = Math.sin(radians(y1 - y0) / 2) ** 2
    + Math.cos(radians(y0)) * Math.cos(radians(y1)) * Math.sin(radians(x1 - x0) / 2) ** 2;
  return 2 * RADIUS * Math.asin(Math.sqrt(a));
}

function enclosed() { // Chamberlain and Duquette, 2007
  const sum = points.reduce((total, [x0, y0], index) => {
    const [x1, y1] = points[(index + 1) % points.length];
    return total + radians(x1 - x0) * (2 + Math.sin(radians(y0)) + Math.sin(radians(y1)));
  }, 0);
  return Math.abs((sum * RADIUS ** 2) / 2);
}

function draw() {
  const line = { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: points } };
  const dots = { type: "Feature", properties: {}, geometry: { type: "MultiPoint", coordinates: points } };
  both((map) => map.getSource("measure").setData({ type: "FeatureCollection", features: points.length > 1 ? [line, dots] : [dots] }));
  if (!active) return;
  const metres = points.slice(1).reduce((sum, point, index) => sum + distance(points[index], point), 0);
  const length = metres >= 1000 ? `${(metres / 1000).toFixed(2)} km` : `${metres.toFixed(0)} m`;
  const surface = points.length > 2 ? `, encloses ${area(enclosed())}` : "";
  tell(points.length > 1 ? length + surface : "Click two points or more; Esc ends it");
}

export function addMeasure() {
  both((map) => {
    map.addSource("measure", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    map.addLayer({ id: "measure-line", type: "line", source: "measure", paint: { "line-color": "#ffc832", "line-width": 3 } });
    map.addLayer({ id: "measure-dot", type: "circle", source: "measure", paint: {
      "circle-radius": 4.5, "circle-color": "#1c2024", "circle-stroke-color": "#ffc832", "circle-stroke-width": 2 } });
    map.on("click", (event) => {
      if (!active) return;
      points.push([event.lngLat.lng, event.lngLat.lat]);
      draw();
    });
  });
}

export const measuring = () => active;

export function toggleMeasure(on = !active) {
  active = on;
  points = [];
  $("measure").setAttribute("aria-pressed", active);
  both((map) => { map.getCanvas().style.cursor = active ? "crosshair" : ""; });
  draw();
  if (!active) tell("");
}
