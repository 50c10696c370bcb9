/* A plotly figure. The library (5 MB) is asked of the kernel when the first chart is shown, comes
 * gzipped through the widget's own connection (1.5 MB; so it works offline, in JupyterLab and in a
 * dashboard alike), and is kept for all charts of the page. Colours are those of the page. */

function library(model) {
  window.workbenchPlotly ??= new Promise((resolve, reject) => {
    const take = async (content, buffers) => {
      if (content !== "plotly") return;
      model.off("msg:custom", take);
      try {
        const packed = new Blob([buffers[0]]).stream();
        const text = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
        const module = { exports: {} }; // not a global: the page may have a module loader
        new Function("module", text)(module);
        resolve(module.exports);
      } catch (error) {
        reject(error);
      }
    };
    model.on("msg:custom", take);
    model.send("plotly");
  });
  return window.workbenchPlotly;
}

/* What `light-dark(…)` and variables come to here. */
function colour(el, value) {
  const probe = document.createElement("i");
  probe.style.color = value;
  el.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function themed(figure, el) {
  const [text, line] = ["var(--wb-text)", "var(--wb-line)"].map((name) => colour(el, name));
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const layout = {
    margin: { l: 48, r: 24, t: 32, b: 48 },
    ...figure.layout,
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { ...(figure.layout || {}).font, color: text, family: getComputedStyle(el).fontFamily },
    autosize: true,
  };
  if (el.clientWidth < 640)
    layout.legend = { ...layout.legend, orientation: "h", x: 0, y: -0.2, yanchor: "top" };
  delete layout.width;
  delete layout.template;
  for (const name of Object.keys(layout))
    if (/^[xy]axis\d*$/.test(name)) layout[name] = { ...layout[name], ...axis };
  layout.xaxis = { ...axis, ...layout.xaxis };
  layout.yaxis = { ...axis, ...layout.yaxis };
  if (layout.polar)
    layout.polar = {
      ...layout.polar,
      bgcolor: "transparent",
      radialaxis: { ...layout.polar.radialaxis, ...axis },
      angularaxis: { ...layout.polar.angularaxis, ...axis },
    };
  return layout;
}

function render({ model, el }) {
  el.classList.add("wb-plot", "wb-card");
  const note = document.createElement("p");
  note.className = "wb-muted";
  note.textContent = "Loading the plots …";
  el.append(note);
  const place = document.createElement("div");
  el.append(place);
  let plotly = null;
  const draw = async () => {
    el.hidden = !model.get("figure");
    if (el.hidden) return;
    try {
      plotly = await library(model);
      const figure = JSON.parse(model.get("figure"));
      const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d"] };
      await plotly.react(place, figure.data, themed(figure, el), config);
      note.remove();
    } catch (error) {
      note.textContent = `The plot cannot be drawn (${error.message}). The table has its figures.`;
      el.prepend(note);
    }
  };
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", draw);
  model.on("change:figure", draw);
  draw();
  return () => {
    scheme.removeEventListener("change", draw);
    model.off("change:figure", draw);
    if (plotly) plotly.purge(place);
  };
}

export default { render };
