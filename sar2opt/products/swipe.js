// Two pictures in one box; the upper one is cut off at the curtain, which follows the slider.
function picture(source) {
  const image = document.createElement("img");
  image.src = source;
  image.style.cssText = "position:absolute;inset:0;width:100%;height:100%";
  return image;
}

function label(text, generated, side) {
  const mark = document.createElement("b");
  mark.textContent = text;
  mark.style.cssText =
    `position:absolute;top:8px;${side}:8px;max-width:46%;padding:2px 8px;font:600 12px sans-serif;` +
    `color:#1c2024;background:${generated ? "#ffc832" : "#d8dbde"}`;
  return mark;
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.style.cssText =
    `position:relative;overflow:hidden;max-width:${model.get("width")}px;background:#e9e7e1`;
  const below = document.createElement("img");  // gives the box its height
  below.src = model.get("right");
  below.style.cssText = "display:block;width:100%";
  const above = picture(model.get("left"));
  const line = document.createElement("div");
  line.style.cssText = "position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:#fff";
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = 0;
  slider.max = 100;
  slider.step = 0.1;
  slider.value = 50;
  slider.setAttribute("aria-label", "Move the curtain between the two pictures");
  slider.style.cssText = `display:block;width:100%;max-width:${model.get("width")}px;margin:6px 0`;
  const move = () => {
    above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    line.style.left = `${slider.value}%`;
  };
  const drag = (event) => {
    if (event.buttons !== 1) return;
    const edges = box.getBoundingClientRect();
    slider.value = (100 * (event.clientX - edges.left)) / edges.width;
    move();
  };
  box.addEventListener("pointerdown", drag);
  box.addEventListener("pointermove", drag);
  box.addEventListener("dragstart", (event) => event.preventDefault());
  slider.addEventListener("input", move);
  const [left, right] = model.get("titles");
  const [leftGenerated, rightGenerated] = model.get("generated");
  box.append(below, above, line, label(left, leftGenerated, "left"),
    label(right, rightGenerated, "right"));
  el.append(box, slider);
  move();
}

export default { render };
