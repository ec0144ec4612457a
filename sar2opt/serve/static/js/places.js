// Names of towns over the pictures, the largest first, as many as have room.
import { $, fetchJson, make } from "./dom.js";
import { maps } from "./maps.js";

const MOST = 24, ROOM = { wide: 110, high: 26 }; // pixels around a name
let asked = 0, shown = [];

export async function loadPlaces() {
  if (!maps.right) return;
  const mine = ++asked, box = maps.right.getBounds();
  const clip = (value, most) => Math.max(-most, Math.min(most, value)).toFixed(4);
  const bounds = [clip(box.getWest(), 180), clip(box.getSouth(), 90), clip(box.getEast(), 180), clip(box.getNorth(), 90)];
  const found = await fetchJson(`places.json?bbox=${bounds}&limit=150`);
  if (mine !== asked) return; // the map moved on
  const taken = [];
  const { clientWidth: width, clientHeight: height } = $("places");
  shown = found.places.filter(({ name, lon, lat }) => {
    const { x, y } = maps.right.project([lon, lat]);
    const half = 4 * name.length, inside = x > half && x < width - half && y > 10 && y < height - 10;
    const free = inside && taken.length < MOST && taken.every((one) => Math.abs(one.x - x) > ROOM.wide || Math.abs(one.y - y) > ROOM.high);
    if (free) taken.push({ x, y });
    return free;
  }).map((place) => ({ ...place, label: make("span", { textContent: place.name }) }));
  $("places").replaceChildren(...shown.map(({ label }) => label));
  movePlaces();
}

export function movePlaces() {
  for (const { lon, lat, label } of shown) {
    const { x, y } = maps.right.project([lon, lat]);
    label.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, -50%)`;
  }
}

export function listenPlaces() {
  maps.right.on("move", movePlaces);
  maps.right.on("moveend", () => loadPlaces().catch(() => { /* a map without names is a map */ }));
}
