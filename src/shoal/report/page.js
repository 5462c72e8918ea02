// Draws the figures, answers their controls, and refits everything for paper.
"use strict";

const INK = "#1b1f24", GRID = "#e4e7eb";
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const narrow = () => window.innerWidth < 640;

// The library lies in the page compressed; nothing is fetched.
async function library() {
  const packed = document.getElementById("plotly");
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.appendChild(script);
  packed.remove();
}

const isObject = (v) => v && typeof v === "object" && !Array.isArray(v);

function merge(base, over) {
  const out = { ...base };
  for (const [key, value] of Object.entries(over || {}))
    out[key] = isObject(value) && isObject(out[key]) ? merge(out[key], value) : value;
  return out;
}

function theme(width) {
  const axis = {
    gridcolor: GRID, linecolor: "#9aa1ab", zerolinecolor: "#c3c9d1", ticks: "outside",
    tickcolor: "#9aa1ab", ticklen: 4, automargin: true, showline: true,
    title: { standoff: 8, font: { size: 13 } },
  };
  const small = narrow(), wide = width || window.innerWidth;
  return {
    font: { family: FONT, size: small ? 11 : 13, color: INK },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", autosize: true,
    margin: { l: 8, r: small ? 8 : 16, t: 8, b: 8 },
    xaxis: { ...axis, nticks: Math.max(4, Math.round(wide / 105)), zeroline: false }, yaxis: { ...axis, nticks: 7 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: small ? 11 : 12 }, itemwidth: 34 },
    hoverlabel: { bgcolor: "#fff", bordercolor: "#9aa1ab", font: { color: INK, size: 12 } },
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
    hovermode: "closest",
  };
}

class Drawing {
  constructor(figure) {
    this.figure = figure;
    this.plot = figure.querySelector(".plot");
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.lists = [...figure.querySelectorAll("select")];
    this.switches = [...figure.querySelectorAll(".switch")];
    this.on = 0;
    this.start = this.data.start.split(",");
    for (const list of this.lists) list.addEventListener("change", () => this.draw());
    for (const button of figure.querySelectorAll(".step"))
      button.addEventListener("click", () => this.step(button));
    this.switches.forEach((b, i) => b.addEventListener("click", () => { this.on = i; this.draw(); }));
  }

  step(button) {
    const list = button.parentElement.querySelector("select");
    const next = list.selectedIndex + Number(button.dataset.step);
    list.selectedIndex = (next + list.options.length) % list.options.length;
    this.draw();
  }

  // Lists with a single option are not shown, and stay at their start.
  view() {
    const shown = this.lists.map((l) => l.value);
    const single = this.start.length - shown.length;
    const key = single > 0 && shown.length === 0 ? this.start : [...this.fixed(single), ...shown];
    return this.data.views[key.join(",")] || [];
  }

  fixed(n) { return this.start.slice(0, n); }

  draw() {
    this.switches.forEach((b, i) => b.setAttribute("aria-pressed", String(i === this.on)));
    let layout = merge(theme(this.plot.clientWidth), this.data.layout);
    layout = merge(layout, this.data.switches[this.on]);
    if (this.size) layout = merge(layout, { ...this.size, autosize: false });
    const config = { responsive: !this.size, displayModeBar: false, doubleClick: "reset" };
    return Plotly.react(this.plot, structuredClone(this.view()), layout, config);
  }

  fit(paper) {
    const tall = Number(this.plot.dataset.height) * (paper ? 0.72 : 1);
    this.plot.style.height = `${tall}px`;
    this.size = paper ? { width: this.plot.clientWidth, height: tall } : null;
    this.draw();
  }
}

function forPaper(drawings) {
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((d) => { d.open = true; });
    document.body.classList.add("paper");
    drawings.forEach((d) => d.fit(true));
  });
  window.addEventListener("afterprint", () => {
    closed.forEach((d) => { d.open = false; });
    document.body.classList.remove("paper");
    drawings.forEach((d) => d.fit(false));
  });
}

async function main() {
  await library();
  const drawings = [...document.querySelectorAll("figure:has(> .plot)")].map((f) => new Drawing(f));
  for (const drawing of drawings) await drawing.draw();
  forPaper(drawings);
  let wasNarrow = narrow();
  window.addEventListener("resize", () => {
    if (narrow() !== wasNarrow) { wasNarrow = narrow(); drawings.forEach((d) => d.draw()); }
  });
  document.body.dataset.ready = String(drawings.length);
}

main().catch((error) => {
  console.error(error);
  document.body.classList.add("undrawn");
});
