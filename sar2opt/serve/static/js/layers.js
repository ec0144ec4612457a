// The pictures of each side, the veil, the objects and the anomalies, as layers of both maps.
import { $, fetchJson } from "./dom.js";
import { both, maps } from "./maps.js";
import { state } from "./state.js";

const EMPTY = { type: "FeatureCollection", features: [] };
const ORDER = ["picture", "veil", "objects-fill", "objects-line", "anomalies-fill", "anomalies-line", "anomalies-dot", "chosen-dot"];

function byName(entries, column) {
  return ["match", ["get", column], ...entries.flatMap((entry) => (entry.name ? [entry.name, entry.colour] : [])), "#3c3c3c"];
}

export function addVectorLayers(legend) {
  const classes = byName(legend.classes, "tag"), kinds = byName(legend.kinds, "kind");
  both((map) => {
    for (const name of ["objects", "anomalies", "spots"]) map.addSource(name, { type: "geojson", data: EMPTY });
    map.addLayer({ id: "objects-fill", type: "fill", source: "objects", paint: { "fill-color": classes, "fill-opacity": 0.28 } });
    map.addLayer({ id: "objects-line", type: "line", source: "objects", paint: { "line-color": classes, "line-width": 1.4 } });
    map.addLayer({ id: "anomalies-fill", type: "fill", source: "anomalies", paint: { "fill-color": kinds, "fill-opacity": 0.15 } });
    map.addLayer({ id: "anomalies-line", type: "line", source: "anomalies", paint: { "line-color": kinds, "line-width": 2 } });
    map.addLayer({ id: "anomalies-dot", type: "circle", source: "spots", paint: {
      "circle-color": kinds, "circle-radius": ["interpolate", ["linear"], ["zoom"], 8, 3.2, 13, 6.5],
      "circle-stroke-color": "#fff", "circle-stroke-width": 1.4 } });
    map.addLayer({ id: "chosen-dot", type: "circle", source: "spots", filter: ["==", ["get", "id"], ""], paint: {
      "circle-color": "transparent", "circle-radius": 15, "circle-stroke-color": "#ffc832", "circle-stroke-width": 3.5 } });
  });
}

function setRaster(map, id, product, layer) {
  if (map.getLayer(id)) map.removeLayer(id);
  if (map.getSource(id)) map.removeSource(id);
  if (!product || !product.layers.includes(layer)) return;
  const address = `${product.address}/${layer}/WebMercatorQuad/tilejson.json?tilesize=256&tile_format=png&s=${product.stamp}`;
  map.addSource(id, { type: "raster", url: new URL(address, document.baseURI).href, tileSize: 256 });
  const above = ORDER.slice(ORDER.indexOf(id) + 1).find((name) => map.getLayer(name));
  const resampling = layer === "tags" ? "nearest" : "linear";
  map.addLayer({ id, type: "raster", source: id, paint: { "raster-resampling": resampling, "raster-fade-duration": 0 } }, above);
}

export function drawPictures(products) {
  for (const side of ["left", "right"]) {
    const product = products.get((side === "left" && state.before) || state.scene);
    if (!maps[side]) return; // not yet
    setRaster(maps[side], "picture", product, state[side]);
    const doubted = state.veil > 0 && state[side] === "optical"; // trust is trust in the generated image
    setRaster(maps[side], "veil", product, doubted ? "veil" : "");
  }
  drawOpacity();
}

export function drawOpacity() {
  both((map) => {
    if (map.getLayer("picture")) map.setPaintProperty("picture", "raster-opacity", state.opacity / 100);
    if (map.getLayer("veil")) map.setPaintProperty("veil", "raster-opacity", state.veil / 100);
  });
}

export function drawMarks(legend) {
  const told = {
    sar: "RADAR - MEASURED", optical: legend.mark, tags: "LAND COVER GENERATED FROM RADAR - NO SURVEY",
    trust: "TRUST, ESTIMATED BY THE NEURAL NETWORK",
  };
  for (const side of ["left", "right"]) {
    const mark = $(`mark-${side}`);
    mark.textContent = told[state[side]] ?? "";
    mark.classList.toggle("generated", state[side] !== "sar");
  }
}

export function drawAnomalies(shown) {
  const spots = shown.map(({ properties }) => ({
    type: "Feature", properties: { id: properties.id, kind: properties.kind },
    geometry: { type: "Point", coordinates: [properties.lon, properties.lat] },
  }));
  both((map) => {
    map.getSource("anomalies").setData({ type: "FeatureCollection", features: state.anomalies ? shown : [] });
    map.getSource("spots").setData({ type: "FeatureCollection", features: state.anomalies ? spots : [] });
  });
}

export function drawChosen() {
  both((map) => map.setFilter("chosen-dot", ["==", ["get", "id"], state.chosen]));
}

let asked = 0;
export async function drawObjects(product, classes) {
  const mine = ++asked;
  const shown = classes.map((entry) => entry.name).filter((name) => !state.hideClasses.includes(name));
  let found = EMPTY;
  if (state.objects && shown.length && product && maps.right) {
    const box = maps.right.getBounds();
    const bounds = [Math.max(-180, box.getWest()), Math.max(-90, box.getSouth()), Math.min(180, box.getEast()), Math.min(90, box.getNorth())];
    const metres = Math.min(1000, (78271 * Math.cos((maps.right.getCenter().lat * Math.PI) / 180)) / 2 ** maps.right.getZoom());
    const wanted = new URLSearchParams({ bbox: bounds.map((edge) => edge.toFixed(6)), kind: shown, limit: 1500,
      min_area: Math.round(25 * metres ** 2), tolerance: (1.5 * metres).toFixed(1) });
    found = await fetchJson(`vectors/${encodeURIComponent(product.key)}/objects.geojson?${wanted}`);
  }
  if (mine === asked) both((map) => map.getSource("objects").setData(found)); // else newer ones come
}
