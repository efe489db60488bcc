// Draws the charts and drives the interactive plot. Text from data is only ever set as text.
(() => {
  "use strict";
  const root = document.documentElement;
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const documents = [];

  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // -- themes: a tone is the name of a colour in the page's style sheet

  const color = (tone) => getComputedStyle(root).getPropertyValue(`--${tone}`).trim();

  function paint(doc) {
    const [ink, muted, rule] = ["ink", "muted", "rule"].map(color);
    for (const model of doc.roots().flatMap((top) => [...top.references()])) {
      const [tone] = model.tags;
      if (tone !== undefined) {
        const value = color(tone);
        if ("line_color" in model.properties) model.setv({ line_color: value });
        if ("fill_color" in model.properties) model.setv({ fill_color: value });
      } else if (model.type === "Grid") {
        model.setv({ grid_line_color: rule });
      } else if (model.type.endsWith("Axis")) {
        model.setv({
          axis_label_text_color: ink,
          major_label_text_color: ink,
          axis_line_color: muted,
          major_tick_line_color: muted,
        });
      }
    }
  }

  async function draw(place) {
    const item = read(place.dataset.item);
    const views = await Bokeh.embed.embed_item({ ...item, target_id: null }, place);
    const doc = [...views][0].model.document;
    paint(doc);
    documents.push(doc);
    return doc;
  }

  scheme.addEventListener("change", () => documents.forEach(paint));

  // -- the interactive plot

  const short = (value) => (value === null ? "n/a" : String(Number(value.toPrecision(4))));
  // Digits at which the width of an interval has two, as bayes_hybrid.digits.figures.
  function digits(lower, upper, values) {
    const width = upper - lower;
    if ([lower, upper, ...values].some((value) => value === null) || !(width > 0)) {
      return values.map(short);
    }
    const decimals = 1 - Math.floor(Math.log10(width));
    if (decimals > 20) return values.map(short);
    if (decimals < 0) {
      const unit = 10 ** -decimals;
      return values.map((value) => String(Math.round(value / unit) * unit));
    }
    return values.map((value) => value.toFixed(decimals).replace(/^-(0(\.0*)?)$/, "$1"));
  }
  const percentages = (lower, upper, values) =>
    digits(100 * lower, 100 * upper, values.map((value) => 100 * value)).map((text) => `${text}%`);
  const percent = (value) => `${Number((100 * value).toPrecision(3))}%`;

  function explore(doc) {
    const state = read("explorer-state");
    const control = (name) => document.getElementById(`explorer-${name}`);
    const [curves, points, strips, along, height] =
      ["curves", "points", "strips", "along", "height"].map((name) => doc.get_model_by_name(name));
    const models = doc.roots().flatMap((top) => [...top.references()]);
    const figures = models.filter((model) => model.type === "Figure");
    const cursors = models.filter((model) => model.name === "cursor");
    const bottom = figures.find((figure) => figure.name === "gate") ?? figures[0];
    const upper = figures.find((figure) => figure.name === "fit");

    const chosen = (name) => Number(control(name)?.value ?? 0);
    const feature = () => state.features[chosen("feature")];
    const panel = () => feature().outputs[chosen("output")];

    function showCurves() {
      const level = chosen("prob");
      const data = {
        x: feature().x,
        mean: panel().mean,
        lower: panel().lower[level],
        upper: panel().upper[level],
      };
      state.regimes.forEach((_, k) => {
        data[`expert${k}`] = panel().experts[k].map((value) => value ?? NaN);
        data[`gate${k}`] = feature().gate[k];
        data[`low${k}`] = feature().gateLower[k][level];
        data[`high${k}`] = feature().gateUpper[k][level];
      });
      curves.data = data;
      const text = percent(state.levels[level]);
      control("prob-value").textContent = text;
      control("prob").setAttribute("aria-valuetext", text);
      showPlace();
    }

    function showPoints() {
      const y = state.points.y[chosen("output")];
      const regimes = state.points.regime.map((k) => state.regimes[k]);
      points.data = {
        x: state.points.x[chosen("feature")],
        y: y.map((value) => value ?? NaN),
        color: regimes.map((regime) => color(regime.tone)),
        marker: regimes.map((regime) => regime.marker),
        regime: regimes.map((regime) => regime.name),
        probability: state.points.probability,
      };
    }

    // A strip for each run of points where the fit has seen no data, as wide as their cells.
    function showStrips() {
      const { x, outside, range } = feature();
      const edges = x.map((value, n) => (n ? (x[n - 1] + value) / 2 : range[0])).concat(range[1]);
      const starts = outside.flatMap((out, n) => (out && !outside[n - 1] ? [n] : []));
      const stops = outside.flatMap((out, n) => (out && !outside[n + 1] ? [n + 1] : []));
      const [bottom, top] = panel().range;
      strips.data = {
        left: starts.map((n) => edges[n]),
        right: stops.map((n) => edges[n]),
        bottom: starts.map(() => bottom),
        top: starts.map(() => top),
      };
    }

    function showPlace() {
      const place = chosen("place");
      const at = feature().x[place];
      const level = chosen("prob");
      const claim = percent(state.levels[level]);
      const values = panel();
      const ends = [values.lower[level][place], values.upper[level][place]];
      const [mean, low, high] = digits(...ends, [values.mean[place], ...ends]);
      const [where] = digits(...feature().x.slice(0, 2), [at]);
      const words = [
        `${feature().name} = ${where}: ${state.outputs[chosen("output")]} ` +
          `${mean}, ${claim} interval ${low} to ${high}`,
      ];
      if (state.regimes.length > 1) {
        state.regimes.forEach((regime, k) => {
          const band = [feature().gateLower[k][level][place], feature().gateUpper[k][level][place]];
          const [share, from, to] = percentages(...band, [feature().gate[k][place], ...band]);
          words.push(`p(${regime.name}) ${share}, band ${from} to ${to}`);
        });
      }
      if (feature().outside[place]) words.push("the fit has seen no data here");
      control("readout").textContent = `${words.join("; ")}.`;
      control("place").setAttribute("aria-valuetext", where);
      cursors.forEach((cursor) => { cursor.location = at; });
    }

    function resetView() {
      const [start, end] = feature().range;
      along.setv({ start, end });
      const [low, high] = panel().range;
      height.setv({ start: low, end: high });
    }

    function zoom(factor) {
      const middle = (along.start + along.end) / 2;
      const half = ((along.end - along.start) / 2) * factor;
      along.setv({ start: middle - half, end: middle + half });
    }

    function move(share) {
      const step = (along.end - along.start) * share;
      along.setv({ start: along.start + step, end: along.end + step });
    }

    function showAll() {
      bottom.below[0].axis_label = feature().name;
      upper.left[0].axis_label = state.outputs[chosen("output")];
      showPoints();
      showStrips();
      showCurves();
      resetView();
    }

    control("feature")?.addEventListener("change", showAll);
    control("output")?.addEventListener("change", showAll);
    control("prob").addEventListener("input", showCurves);
    control("place").addEventListener("input", showPlace);
    control("in").addEventListener("click", () => zoom(0.5));
    control("out").addEventListener("click", () => zoom(2));
    control("left").addEventListener("click", () => move(-0.25));
    control("right").addEventListener("click", () => move(0.25));
    control("reset").addEventListener("click", resetView);
    // The colours of points are data, which painting does not reach.
    scheme.addEventListener("change", showPoints);
    showAll();
  }

  // -- first what is interactive, then the other charts, one by one when there is time

  async function start() {
    Bokeh.set_log_level("warn");
    const places = [...document.querySelectorAll("[data-item]")];
    const first = document.getElementById("chart-explorer");
    explore(await draw(first));
    root.dataset.interactive = "yes";
    performance.mark("interactive");
    const later = window.requestIdleCallback ?? ((work) => setTimeout(work, 1));
    const rest = places.filter((place) => place !== first);
    const next = async () => {
      const place = rest.shift();
      if (place === undefined) {
        root.dataset.drawn = "yes";
        return;
      }
      await draw(place);
      later(next, { timeout: 200 });
    };
    later(next, { timeout: 200 });
  }

  // On a phone the contents start closed; a wide screen has room for them.
  const contents = document.querySelector("nav details");
  const narrow = window.matchMedia("(max-width: 62rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();

  // A formula wider than the page scrolls, and then the keyboard has to reach it.
  const formulas = [...document.querySelectorAll(".formula")];
  const reach = () => formulas.forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  });
  window.addEventListener("resize", reach);
  reach();

  start();
})();
