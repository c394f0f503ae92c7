"use strict";
const SPEED = 299792.458, INK = "#222", RED = "#CC3311", BLUE = "#0077BB", CYAN = "#33BBEE", TEAL = "#009988";
const LEFT = 54, RIGHT = 16, TOP = 24, GAP = 46, FOOT = 38, HEADROOM = 64;
const $ = id => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
let start, state, seen, view, here, spans, columns = [], places = [];
let busy = false, again = false, toFit = false, frame = 0, address = 0;

// --- asking the server

async function ask(what, parameters = {}, body) {
  const query = new URLSearchParams({ ...parameters, token });
  const answer = await fetch(`${what}?${query}`, body && { method: "POST", body }).catch(() => {
    throw new Error("the explorer's server has ended; start it again");
  });
  if (!answer.ok) throw new Error(await answer.text());
  const found = await answer.json();
  if (found.problem) throw new Error(found.problem);
  return found;
}

function unpacked(text) {
  return new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
}

function unpackAll(some) {
  for (const key of ["wave", "flux", "sigma", "residual"]) some[key] = unpacked(some[key]);
}

// Ask for what the controls show; what changes meanwhile is asked for once more.
async function look() {
  if (busy) { again = true; return; }
  busy = true;
  do {
    again = false;
    const asked = { ...state, ...(toFit && { fit: 1 }) };
    toFit = false;
    try {
      const found = await ask("look", asked);
      if (asked.fit && asked.star === state.star) Object.assign(state, found.labels);
      found.model = unpacked(found.model);
      found.derivative = unpacked(found.derivative);
      found.moved = here.wave.map(wave => wave * (1 + found.labels.velocity / SPEED));
      unpackAll(found.star);
      if (found.kept) unpackAll(found.kept);
      view = found;
      seen = { ...state };
      if ($("message").dataset.of !== "file") say("");
      refresh();
    } catch (error) {
      say(error.message);
      if (!seen) break;
      if (state.instrument !== seen.instrument) { state = { ...seen }; choose(); }
      state = { ...seen };
      refresh();
    }
  } while (again);
  busy = false;
}

function say(text, of = "") {
  $("message").textContent = text;
  $("message").dataset.of = of;
}

function overlay(star) {
  say("");
  state.star = star;
  toFit = star !== "";
  look();
}

// --- the state, and its place in the address

function fromAddress() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const instrument = given.instrument in start.instruments ? given.instrument : Object.keys(start.instruments)[0];
  const values = Object.fromEntries(start.sliders.map(s => [s.name, s.value]));
  state = { instrument, ...values, velocity: 0, snr: 100, slope: "teff", star: "", kept: "", window: "" };
  for (const key in state) if (key !== "instrument" && key in given) state[key] = given[key];
  toFit = state.star !== "" && !("teff" in given);
  choose();
}

function toAddress() {
  history.replaceState(null, "", `#${new URLSearchParams(Object.entries(state).filter(([, value]) => value !== ""))}`);
}

// Show the stars and the range of the instrument.
function choose() {
  here = start.instruments[state.instrument];
  spans = here.arms.map(arm => [...arm]);
  state.window.split("_").map(text => text.split("-").map(Number)).forEach((span, i) => {
    if (i < spans.length && span[0] < span[1]) spans[i] = clipped(span, i);
  });
  const { obsid } = here.stars;
  $("suspicious").replaceChildren(new Option("choose ...", ""), ...here.suspicious.map(([id, text], i) => new Option(`${i + 1}. ${text}`, id)));
  $("shown").textContent = !obsid.length ? `No catalogue has stars of ${state.instrument}: pick a file.`
    : `${obsid.length.toLocaleString("en")} ${state.instrument} ${start.simulated ? "simulated stars" : "stars"}, `
    + `${here.suspicious.length} of them suspicious; click one, or type an obsid. Grey: outside the grid. The cross is where the sliders stand.`;
  $("models").textContent = `Models: ${here.models}.`;
  drawStars();
}

function refresh() {
  for (const [name, input] of Object.entries(inputs)) {
    const value = Number(state[name]);
    input.value = name === "snr" ? Math.log10(value) : value;
    input.nextElementSibling.textContent = written(value, input.dataset.digits) + " " + input.dataset.unit;
  }
  for (const id of ["instrument", "slope"]) $(id).value = state[id];
  $("suspicious").value = state.star;
  if ($("suspicious").selectedIndex < 0) $("suspicious").value = "";
  if (document.activeElement !== $("obsid")) $("obsid").value = state.star;
  $("keep").textContent = state.kept ? "End comparison" : "Keep to compare";
  $("fit").disabled = $("clear").disabled = !state.star;
  $("keep").disabled = !state.star && !state.kept;
  inputs.snr.disabled = Boolean(state.star);
  $("warning").textContent = view.warnings.length ? `Outside the model grid. ${view.warnings.join("; ")}. There the regression `
    + "extrapolates, and what is drawn is no model star." : "";
  $("told").textContent = view.told;
  $("kept").textContent = view.kept_told;
  drawHere();
  draw();
}

// --- drawing

function written(value, digits = 0) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

function label(x, y, text, anchor = "middle", color = INK, turned = false) {
  const safe = text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${color}"${turned ? ` transform="rotate(-90 ${x.toFixed(1)} ${y.toFixed(1)})"` : ""}>${safe}</text>`;
}

// The least of 1, 2, 5 times a power of ten that is not below the value.
function reach(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find(step => step * power >= value * (1 - 1e-9)) * power;
}

function ticks([low, high], n) {
  if (low > high) [low, high] = [high, low];
  const step = reach((high - low) / n), first = Math.ceil(low / step - 1e-9), found = [];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  for (let i = first; i * step <= high + 1e-9 * step; i++) found.push([i * step, (i * step).toFixed(digits).replace(/^-0(\.0*)?$/, "0").replace("-", "−")]);
  return found;
}

// A pair of axes: where values lie, and the text of its parts.
function panel(left, top, width, height, x, y) {
  const across = value => left + width * (value - x[0]) / (x[1] - x[0]);
  const up = value => top + height * (y[1] - value) / (y[1] - y[0]);
  const box = `x="${left}" y="${top}" width="${width}" height="${height}"`, clip = `clip-${left.toFixed(0)}-${top.toFixed(0)}`;
  return {
    left, top, width, height, x, across, up,
    // Of each pixel of the screen the lowest and the highest point are drawn, in whole tenths of a pixel,
    // which are written much faster than fractions: lest the browser is slow.
    line(wave, values, color, thick = 1, scale = 1) {
      const [first, last] = within(wave, x), size = Math.max(1, Math.floor((last - first) / width));
      let path = "", broken = true;
      for (let i = first; i < last; i += size) {
        let low = i, high = i;
        for (let j = i + 1; j < Math.min(i + size, last); j++) {
          if (values[j] < values[low]) low = j;
          if (values[j] > values[high]) high = j;
        }
        for (const k of low === high ? [low] : low < high ? [low, high] : [high, low]) {
          const place = up(scale * values[k]);
          if (Number.isNaN(place)) { broken = true; continue; }
          path += `${broken ? "M" : "L"}${Math.round(10 * across(wave[k]))} ${Math.round(10 * Math.min(Math.max(place, -1e4), 1e4))}`;
          broken = false;
        }
      }
      return `<g clip-path="url(#${clip})"><path d="${path}" transform="scale(.1)" stroke="${color}" stroke-width="${10 * thick}" fill="none"/></g>`;
    },
    shade([first, last]) {
      const a = Math.max(left, across(first)), b = Math.min(left + width, across(last));
      return a < b ? `<rect x="${a}" y="${top}" width="${b - a}" height="${height}" fill="#E8E8E8"/>` : "";
    },
    level: (value, color) => `<path d="M${left} ${up(value)}h${width}" stroke="${color}"/>`,
    frame(xTicks, yTicks, xTitle = "", yTitle = "") {
      let text = `<clipPath id="${clip}"><rect ${box}/></clipPath><rect ${box} fill="none" stroke="${INK}"/>`, marks = "";
      for (const [value, name] of xTicks) {
        marks += `M${across(value)} ${top + height}v-5M${across(value)} ${top}v5`;
        if (xTitle) text += label(across(value), top + height + 15, name);
      }
      for (const [value, name] of yTicks) {
        if (up(value) < top + 5 || up(value) > top + height - 5) continue; // it would touch that of the next panel
        marks += `M${left} ${up(value)}h5M${left + width} ${up(value)}h-5`;
        text += label(left - 4, up(value) + 4, name, "end");
      }
      if (xTitle) text += label(left + width / 2, top + height + 32, xTitle);
      if (yTitle) text += label(left - 42, top + height / 2, yTitle, "middle", INK, true);
      return text + `<path d="${marks}" stroke="${INK}"/>`;
    },
  };
}

// First index within a range of wavelengths, and one past the last.
function within(wave, [low, high]) {
  const search = value => {
    let a = 0, b = wave.length;
    while (a < b) { const middle = (a + b) >> 1; if (wave[middle] < value) a = middle + 1; else b = middle; }
    return a;
  };
  return [search(low), search(high)];
}

function median(values) {
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : NaN;
}

function extremes(values, first, last) {
  let low = Infinity, high = -Infinity;
  for (let i = first; i < last; i++) { if (values[i] < low) low = values[i]; if (values[i] > high) high = values[i]; }
  return [low, high];
}

function draw() {
  if (!view) return;
  // A hidden frame has no size.
  const svg = $("spectrum"), width = Math.max(svg.parentElement.clientWidth, 200), narrow = innerWidth <= 800;
  const height = narrow ? Math.max(240, Math.round(0.46 * innerHeight)) : Math.max(440, Math.min(680, innerHeight - 90));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  svg.setAttribute("aria-label", `${state.instrument} spectrum of ${view.star.name}, the model, their residuals and the derivative`);
  const each = (width - LEFT - RIGHT - GAP * (spans.length - 1)) / spans.length, room = height - TOP - FOOT;
  columns = spans.map((span, i) => column(span, LEFT + i * (each + GAP), each, room, i === 0));
  svg.innerHTML = key(width) + columns.map(some => some.text).join("") + `<path id="hair" stroke="${INK}" stroke-dasharray="2 3"/>`;
  state.window = String(spans.map(span => span.map(value => value.toFixed(1)).join("-")).join("_"));
  clearTimeout(address); // browsers take only so many changes of the address
  address = setTimeout(toAddress, 200);
}

function column(span, left, width, room, labelled) {
  const { star, kept, moved } = view;
  const [a, b] = within(moved, span), [c, d] = within(star.wave, span);
  const model = extremes(view.model, a, b), flux = extremes(star.flux, c, d), noise = median(star.sigma.slice(c, d)) || 0.01;
  const floor = Math.max(Math.floor(Math.min(model[0], flux[0]) / 0.05 - 0.2) * 0.05, -0.5);
  const ceiling = Math.ceil((Math.max(model[1], 1) + 3 * noise) / 0.05) * 0.05;
  // By the median, so that a cosmic ray does not set the scale.
  const misfit = reach(300 * Math.max(1.5 * (median(star.residual.slice(c, d).map(Math.abs)) || 0), noise));
  const change = reach(Math.max(100 * Math.max(...extremes(view.derivative, a, b).map(Math.abs)), 0.01));
  const tops = [0, 0.56, 0.73].map(share => TOP + share * room), heights = [0.54, 0.15, 0.27].map(share => share * room);
  const headroom = HEADROOM / (heights[0] - HEADROOM) * (ceiling - floor);
  const limits = [[floor, ceiling + headroom], [-1.3 * misfit, 1.3 * misfit], [-change, 1.4 * change]];
  const panels = tops.map((top, i) => panel(left, top, width, heights[i], span, limits[i]));
  const [main, strip, slope] = panels, some = Math.max(2, Math.floor(width / 80)), xs = ticks(span, some);
  let text = panels.flatMap(one => here.excluded.map(one.shade)).join("");
  if (kept) text += main.line(kept.wave, kept.flux, TEAL) + strip.line(kept.wave, kept.residual, TEAL, 0.8, 100);
  text += main.line(star.wave, star.flux, INK, 0.8) + main.line(moved, view.model, RED, 1.4);
  text += strip.line(star.wave, star.residual, INK, 0.7, 100) + strip.level(0, RED);
  for (const sign of [100, -100]) text += strip.line(star.wave, star.sigma, CYAN, 1, sign);
  text += slope.level(0, INK) + slope.line(moved, view.derivative, BLUE, 1.2, 100) + names(main, ceiling);
  text += main.frame(xs, ticks(limits[0], 6), "", labelled ? "Normalised flux" : "");
  text += strip.frame(xs, ticks(limits[1], 3), "", labelled ? "Resid. [%]" : "");
  text += slope.frame(xs, ticks(limits[2], 5), width > 120 ? "Wavelength in air [Å]" : " ", labelled ? "Deriv. [%]" : "");
  const told = `${width > 420 ? "change of flux " : ""}per ${start.steps[state.slope]}`;
  if (labelled) text += label(left + 8, slope.top + 16, told, "start", BLUE);
  return { text, main, strip, slope, span };
}

// The strongest lines in the headroom, moved apart where they crowd.
function names(main, ceiling) {
  const apart = 14, shift = 1 + view.labels.velocity / SPEED;
  const shown = view.lines.map(([name, wave]) => ({ name, wave, x: main.across(wave * shift) }))
    .filter(({ x }) => x > main.left && x < main.left + main.width).slice(0, Math.floor(main.width / apart));
  shown.forEach((line, i) => { line.place = Math.max(line.x, i ? shown[i - 1].place + apart : main.left + apart); });
  for (let i = shown.length - 1, edge = main.left + main.width - 2; i >= 0; i--) edge = (shown[i].place = Math.min(shown[i].place, edge)) - apart;
  const foot = main.up(ceiling);
  return shown.map(({ name, wave, x, place }) => `<path d="M${x} ${foot}v-8L${place - 3} ${foot - 22}" stroke="${INK}" stroke-width="0.6" fill="none"/>`
    + `<g class="line"><title>${name} ${wave.toFixed(1)} Å</title>${label(place, foot - 26, name, "start", INK, true)}</g>`).join("");
}

function key(width) {
  let x = LEFT, text = "";
  const entries = [[view.star.name, INK], ["SLAM model", RED], ["noise ±1σ", CYAN], ...(view.kept ? [[view.kept.name, TEAL]] : [])];
  for (const [name, color] of entries) {
    if (x + 24 + 6.2 * name.length > width) break;
    text += `<path d="M${x} 12h18" stroke="${color}" stroke-width="2"/>` + label(x + 22, 16, name, "start");
    x += 40 + 6.6 * name.length;
  }
  return text;
}

// --- the HR diagram

const hrPanel = (() => {
  let made;
  return () => made ??= panel(50, 14, 320, 272, [...start.sliders[0].span].reverse().map(Math.log10), [...start.sliders[1].span].reverse());
})();

function drawStars() {
  const hr = hrPanel(), { teff, logg, inside } = here.stars;
  places = teff.map((value, i) => [hr.across(Math.log10(value)), hr.up(logg[i])]);
  const track = (points, style) => `<path d="M${points.map(([t, g]) => `${hr.across(Math.log10(t)).toFixed(1)} ${hr.up(g).toFixed(1)}`).join("L")}" fill="none" ${style} clip-path="url(#clip-50-14)"/>`;
  const dots = (which, color) => `<path class="stars" d="${places.filter((_, i) => inside[i] === which).map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("")}" stroke="${color}" stroke-width="5" stroke-linecap="round" opacity="0.7"/>`;
  const xs = [10, 15, 20, 30, 40, 50, 60].map(value => [Math.log10(1e3 * value), String(value)]).filter(([place]) => place < hr.x[0] && place > hr.x[1]);
  const colors = [CYAN, RED, INK];
  $("hr").innerHTML = hr.frame(xs, ticks(start.sliders[1].span, 6), "Teff [1000 K]", "log g [dex]")
    + track(start.edge, `stroke="${INK}" stroke-dasharray="2 2.5"`) + label(56, 30 + 14 * 3, "· · model grid", "start")
    + start.tracks.map(([name, points], i) => track(points, `stroke="${colors[i]}"`) + label(56, 30 + 14 * i, name, "start", colors[i])).join("")
    + (start.simulated ? label(368, 10, "simulated stars", "end", BLUE) : "") + dots(true, BLUE) + dots(false, "#999") + '<g id="here"></g>';
}

function drawHere() {
  const hr = hrPanel(), i = here.stars.obsid.findIndex(id => String(id) === state.star);
  const x = hr.across(Math.log10(view.labels.teff)), y = hr.up(view.labels.logg);
  $("here").innerHTML = `<path d="M${x - 11} ${y}h22M${x} ${y - 11}v22" stroke="${RED}" stroke-width="2.5"/>`
    + (i < 0 ? "" : `<circle cx="${places[i][0]}" cy="${places[i][1]}" r="5" fill="${RED}" stroke="black" stroke-width="1.5"/>`);
}

// Index of the star nearest to the pointer, -1 if none is near.
function starAt(event) {
  const box = $("hr").getBoundingClientRect(), scale = 380 / box.width;
  const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
  let best = -1, least = 14 ** 2;
  places.forEach(([a, b], i) => { const apart = (a - x) ** 2 + (b - y) ** 2; if (apart < least) [best, least] = [i, apart]; });
  return best;
}

// --- zoom, move, read

function clipped([low, high], i) {
  const [first, last] = here.arms[i], size = Math.min(Math.max(high - low, 5), last - first);
  low = Math.min(Math.max(low, first), last - size);
  return [low, low + size];
}

function soon() {
  frame ||= requestAnimationFrame(() => { frame = 0; draw(); });
}

function zoom(i, factor, share = 0.5, by = 0) {
  const [low, high] = spans[i], size = high - low, middle = low + share * size;
  spans[i] = clipped([middle - share * size * factor + by * size, middle + (1 - share) * size * factor + by * size], i);
  soon();
}

function columnAt(x) {
  const i = columns.findIndex(({ main }) => x < main.left + main.width + GAP / 2);
  return i < 0 ? columns.length - 1 : i;
}

function nearest(wave, value) {
  const i = Math.min(within(wave, [value, value])[0], wave.length - 1);
  return i && value - wave[i - 1] < wave[i] - value ? i - 1 : i;
}

function read(x) {
  const { main, slope, span } = columns[columnAt(x)], share = (x - main.left) / main.width;
  if (share < 0 || share > 1) return;
  const wave = span[0] + share * (span[1] - span[0]), i = nearest(view.star.wave, wave), j = nearest(view.moved, wave);
  const shift = 1 + view.labels.velocity / SPEED, near = Math.max(wave / here.resolution, 5 * (span[1] - span[0]) / main.width);
  const line = start.lines.map(([at, name]) => [Math.abs(at * shift - wave), `${name} ${at.toFixed(1)}`]).sort((a, b) => a[0] - b[0])[0];
  const { flux, residual, sigma } = view.star, percent = value => `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}%`;
  const parts = [`${wave.toFixed(1)} Å`, ...(line[0] < near ? [line[1]] : [])];
  if (Number.isFinite(flux[i])) parts.push(`flux ${flux[i].toFixed(3)}`, `residual ${percent(residual[i])} (${(residual[i] / sigma[i]).toFixed(1).replace("-", "−")}σ)`);
  parts.push(`model ${view.model[j].toFixed(3)}`, `derivative ${percent(view.derivative[j])}`);
  $("hover").textContent = parts.join(" · ");
  $("hair").setAttribute("d", `M${x} ${main.top}V${slope.top + slope.height}`);
}

function follow() {
  const svg = $("spectrum"), down = new Map();
  const at = event => event.clientX - svg.getBoundingClientRect().left;
  svg.addEventListener("wheel", event => {
    event.preventDefault();
    const i = columnAt(at(event)), { main } = columns[i];
    zoom(i, 1.2 ** Math.sign(event.deltaY), (at(event) - main.left) / main.width);
  }, { passive: false });
  svg.addEventListener("pointerdown", event => { svg.setPointerCapture(event.pointerId); down.set(event.pointerId, at(event)); read(at(event)); });
  svg.addEventListener("pointermove", event => {
    const x = at(event), before = down.get(event.pointerId);
    if (!view) return;
    if (before === undefined) { read(x); return; }
    const i = columnAt(before), { main } = columns[i], [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    if (other === undefined) zoom(i, 1, 0.5, (before - x) / main.width);
    else zoom(i, Math.min(Math.max(Math.abs(before - other) / Math.max(Math.abs(x - other), 1), 0.5), 2), ((x + other) / 2 - main.left) / main.width);
    down.set(event.pointerId, x);
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, event => down.delete(event.pointerId));
  svg.addEventListener("dblclick", whole);
}

function whole() {
  spans = here.arms.map(arm => [...arm]);
  soon();
}

// --- controls

const inputs = {};

function makeSliders() {
  const more = [{ name: "velocity", text: "velocity", unit: "km/s", digits: 0, span: [-600, 600], step: 1 }, { name: "snr", text: "SNR a pixel", unit: "", digits: 0, span: [1, 3], step: 0.01 }];
  for (const { name, text, unit, digits, span, step } of [...start.sliders, ...more]) {
    const row = document.createElement("label");
    row.className = "slider";
    row.append(text, Object.assign(document.createElement("input"), { type: "range", min: span[0], max: span[1], step, id: name }), document.createElement("output"));
    const input = inputs[name] = row.children[0];
    Object.assign(input.dataset, { unit, digits });
    input.addEventListener("input", () => { state[name] = name === "snr" ? 10 ** input.value : Number(input.value); look(); });
    $("sliders").append(row);
  }
}

function step(by) {
  const some = here.suspicious, now = some.findIndex(([id]) => String(id) === state.star);
  if (some.length) overlay(String(some[now < 0 ? (by > 0 ? 0 : some.length - 1) : (now + by + some.length) % some.length][0]));
}

function keep() {
  state.kept = state.kept ? "" : state.star;
  look();
}

async function take(file) {
  if (!file) return;
  say("labelling ... (the first file of a new instrument takes a few minutes: its models are trained)", "file");
  try {
    const found = await ask("file", { name: file.name, told: $("hints").value }, file);
    if (!(found.instrument in start.instruments)) meet(found.instrument, found.about);
    if (found.instrument !== state.instrument) {
      Object.assign(state, { instrument: found.instrument, kept: "", window: "" });
      choose();
    }
    overlay(found.star);
  } catch (error) { say(error.message); }
  $("file").value = ""; // so that the same file can be picked again
}

function meet(name, about) {
  about.wave = unpacked(about.wave);
  start.instruments[name] = about;
  $("instrument").append(new Option(name));
}

function offer(name, content, type) {
  const link = Object.assign(document.createElement("a"), { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function save(what) {
  const name = `slamlib_${state.instrument}_${state.star || "model"}`.replace(/[^\w.-]/g, "_");
  if (what === "picture") {
    $("hair").removeAttribute("d");
    offer(`${name}.svg`, new XMLSerializer().serializeToString($("spectrum")), "image/svg+xml");
    return;
  }
  try { offer(`${name}_${what}.ecsv`, (await ask("save", { ...state, what })).ecsv, "text/plain"); } catch (error) { say(error.message); }
}

const KEYS = {
  "+": () => spans.forEach((_, i) => zoom(i, 1 / 1.5)), "-": () => spans.forEach((_, i) => zoom(i, 1.5)), 0: whole,
  ArrowLeft: () => spans.forEach((_, i) => zoom(i, 1, 0.5, -0.1)), ArrowRight: () => spans.forEach((_, i) => zoom(i, 1, 0.5, 0.1)),
  n: () => step(1), p: () => step(-1), k: () => (state.star || state.kept) && keep(), f: () => state.star && overlay(state.star), c: () => overlay(""),
};

function listen() {
  $("instrument").addEventListener("change", () => {
    Object.assign(state, { instrument: $("instrument").value, star: "", kept: "", window: "" });
    choose();
    overlay("");
  });
  $("slope").addEventListener("change", () => { state.slope = $("slope").value; look(); });
  $("suspicious").addEventListener("change", () => overlay($("suspicious").value));
  $("obsid").addEventListener("change", () => $("obsid").value !== state.star && overlay($("obsid").value));
  $("file").addEventListener("change", () => take($("file").files[0]));
  for (const [id, key] of Object.entries({ closer: "+", wider: "-", whole: "0", fit: "f", clear: "c", keep: "k", before: "p", next: "n" })) $(id).addEventListener("click", KEYS[key]);
  for (const what of ["picture", "spectrum", "labels"]) $(`save-${what}`).addEventListener("click", () => save(what));
  $("hr").addEventListener("click", event => { const i = starAt(event); if (i >= 0) overlay(String(here.stars.obsid[i])); });
  $("hr").addEventListener("pointermove", event => {
    const i = starAt(event), { obsid, teff, logg } = here.stars;
    $("hover").textContent = i < 0 ? "" : `obsid ${obsid[i]} · Teff ${written(teff[i])} K · log g ${written(logg[i], 2)} dex`;
  });
  addEventListener("keydown", event => {
    const { target, key } = event, slider = target.matches("[type=range]");
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, input:not([type=range])") || !(key in KEYS)) return;
    if (slider && /Arrow/.test(key)) return;
    event.preventDefault();
    KEYS[key]();
  });
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => { event.preventDefault(); take(event.dataTransfer.files[0]); });
  addEventListener("hashchange", () => { fromAddress(); look(); });
  addEventListener("resize", soon);
  follow();
}

(async () => {
  try {
    start = await ask("start");
    for (const [name, about] of Object.entries(start.instruments)) meet(name, about);
    $("slope").append(...start.sliders.map(({ name, text }) => new Option(text, name)));
    makeSliders();
    fromAddress();
    listen();
    await look();
  } catch (error) { say(error.message); }
})();
