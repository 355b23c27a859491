// Draw the interactive figures: final values, curves over training, and one metric against another.
"use strict";

(() => {
  const INK = "#222222", GREY = "#6b6b6b", PALE = "#d8d8d8", GRID = "#ececec";
  const MOST_ROWS = 60, MOST_BANDS = 8, NARROW = 560;
  const MARKERS = {
    o: ["circle"], s: ["rect"], "^": ["triangle"], D: ["rectRot"], v: ["triangle", 180], P: ["cross"], X: ["crossRot"],
    "*": ["star"], "<": ["triangle", 270], ">": ["triangle", 90], h: ["circle"], p: ["rectRounded"], d: ["rectRot"],
  };
  const text = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))).replace("-", "−"));
  const isNarrow = () => document.documentElement.clientWidth < NARROW;
  const charts = {};

  Chart.defaults.animation = false;
  Chart.defaults.color = INK;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.maintainAspectRatio = false;

  /** Draws what is no point of a data set: intervals, bands and the floor. */
  const marks = {
    id: "marks",
    beforeDatasetsDraw(chart) {
      const { ctx, chartArea: area, scales: { x, y } } = chart;
      ctx.save();
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      if (chart.$floor) {
        const { axis, value } = chart.$floor;
        const at = (axis === "x" ? x : y).getPixelForValue(value);
        ctx.strokeStyle = GREY;
        ctx.setLineDash([5, 4]);
        ctx.beginPath();
        ctx.moveTo(axis === "x" ? at : area.left, axis === "x" ? area.top : at);
        ctx.lineTo(axis === "x" ? at : area.right, axis === "x" ? area.bottom : at);
        ctx.stroke();
        ctx.setLineDash([]);
      }
      for (const { interval, band, borderColor } of chart.data.datasets) {
        ctx.strokeStyle = ctx.fillStyle = borderColor;
        if (interval) {
          ctx.lineWidth = 1.6;
          ctx.beginPath();
          ctx.moveTo(pixel(x, interval.low), y.getPixelForValue(interval.row));
          ctx.lineTo(pixel(x, interval.high), y.getPixelForValue(interval.row));
          ctx.stroke();
        }
        if (band) {
          ctx.globalAlpha = 0.13;
          ctx.beginPath();
          for (const [at, , high] of band) ctx.lineTo(x.getPixelForValue(at), pixel(y, high));
          for (const [at, low] of [...band].reverse()) ctx.lineTo(x.getPixelForValue(at), pixel(y, low));
          ctx.fill();
          ctx.globalAlpha = 1;
        }
      }
      ctx.restore();
    },
  };

  /** The place of a value; an end that a logarithmic axis cannot show is at the axis' lower end. */
  function pixel(scale, value) {
    return scale.getPixelForValue(scale.type === "logarithmic" && value <= 0 ? scale.min : value);
  }

  /** Break a name into lines at its own separators. */
  function lines(name, most) {
    const found = [""];
    for (const part of name.split(/(?<=[_ ,(+·])/)) {
      if (found.at(-1) && (found.at(-1) + part).trim().length > most) found.push("");
      found[found.length - 1] += part;
    }
    return found.map((line) => line.trim());
  }

  /** The lines of a method's label; how many seeds it has, where this is said, is a line of its own. */
  function labelLines(label) {
    return label.split(/ (?=\(n = )/).flatMap((part) => lines(part, isNarrow() ? 17 : 30));
  }

  function title(metric) {
    return lines(explorer.data.metrics[metric].title, isNarrow() ? 44 : 60);
  }

  /** An axis that holds `values`, with a margin, which is small where `isTight`. */
  function axis(values, isLog, label, isTight = false) {
    const finite = values.filter((value) => value !== null && (!isLog || value > 0));
    const made = { type: isLog ? "logarithmic" : "linear", title: { display: true, text: label }, grid: { color: GRID } };
    if (finite.length) {
      let low = Math.min(...finite), high = Math.max(...finite);
      if (isLog) {
        const margin = Math.max((high / low) ** 0.06, 1.05);
        made.ticks = { callback: logTick(low / margin, high * margin), maxRotation: 0 };
        return { ...made, min: low / margin, max: high * margin };
      }
      const margin = (isTight ? 0.01 : 0.06) * (high - low) || Math.abs(high) * 0.1 || 1;
      made.ticks = { callback: (value) => text(value), includeBounds: false, maxRotation: 0, maxTicksLimit: isNarrow() ? 5 : 8 };
      return { ...made, min: low - margin, max: high + margin };
    }
    return made;
  }

  /** Labels of powers of ten, and in a short axis of more digits, too. */
  function logTick(low, high) {
    const decades = Math.log10(high / low);
    const digits = decades > 2 ? [1] : decades > 0.9 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
    const every = Math.max(1, Math.ceil(decades / (isNarrow() ? 5 : 9)));
    return (value) => {
      const power = Math.floor(Math.log10(value) + 1e-9);
      const digit = Number((value / 10 ** power).toPrecision(3));
      if (!digits.includes(digit) || (power % every && decades > 2)) return null;
      return value >= 1e5 || value < 1e-3 ? value.toExponential(0).replace("e+", "e").replace("-", "−") : text(value);
    };
  }

  function look(method) {
    const { colour, marker } = explorer.data.methods[method];
    const [pointStyle, rotation] = MARKERS[marker] ?? MARKERS.o;
    return {
      method, label: explorer.nameOf(method), borderColor: colour, backgroundColor: colour, pointStyle,
      rotation: rotation ?? 0, pointBorderWidth: ["cross", "crossRot", "star"].includes(pointStyle) ? 2 : 0,
    };
  }

  function isShown(row) {
    return !explorer.hidden.has(row[0]);
  }

  function setCaption(name, sentence) {
    document.querySelector(`#figure-${name} figcaption`).textContent = sentence;
  }

  /** Show a figure or, without data, hide it. */
  function put(name, sentence, height, config, floor) {
    const figure = document.getElementById(`figure-${name}`);
    figure.hidden = !config.data.datasets.length;
    if (figure.hidden) return;
    setCaption(name, sentence);
    const box = figure.querySelector(".chart"), canvas = box.querySelector("canvas");
    box.style.height = `${height}px`;
    canvas.setAttribute("aria-label", `${sentence} The tables below hold the values.`);
    if (!charts[name]) charts[name] = new Chart(canvas, { ...config, plugins: [marks] });
    const chart = charts[name];
    chart.$floor = floor;
    chart.data = config.data;
    chart.options = config.options;
    paint(chart);
  }

  function options(scales, label) {
    return {
      scales,
      interaction: { mode: "nearest", intersect: false },
      onHover: (event, found, chart) => explorer.pointAt(found.length ? chart.data.datasets[found[0].datasetIndex].method : null),
      onClick: (event, found, chart) => found.length && explorer.pin(chart.data.datasets[found[0].datasetIndex].method),
      plugins: {
        legend: { display: false },
        tooltip: { callbacks: { title: () => "", label }, filter: (item, index) => index < 4, usePointStyle: true },
      },
    };
  }

  /** Set the colours: all but the highlighted method are pale. */
  function paint(chart) {
    const chosen = explorer.highlighted;
    for (const one of chart.data.datasets) {
      const isPale = chosen !== null && one.method !== chosen;
      const colour = isPale ? PALE : explorer.data.methods[one.method].colour;
      Object.assign(one, { borderColor: colour, backgroundColor: colour, order: one.method === chosen ? -1 : 0 });
      if (one.showLine) one.borderWidth = one.method === chosen ? 3.5 : 1.8;
    }
    chart.update("none");
  }

  function floorOf(values) {
    const { floors, reaches, floor } = explorer.shown, value = floors[explorer.metric];
    if (value === undefined || (explorer.isLog && value <= 0)) return null;
    const finite = values.filter((one) => one !== null);
    const isInside = value >= Math.min(...finite) && value <= Math.max(...finite);
    return isInside || reaches ? { value, name: floor } : null;
  }

  function drawFinal() {
    const { metric, isLog, shown } = explorer;
    const sign = explorer.data.metrics[metric].better === "higher" ? -1 : 1;
    const all = (shown.final[metric] ?? []).filter((row) => isShown(row) && (!isLog || row[1] > 0));
    const rows = all.sort((a, b) => sign * (a[1] - b[1])).slice(0, MOST_ROWS);
    const labels = rows.map((row) => labelLines(shown.labels[row[0]] ?? explorer.nameOf(row[0])));
    const datasets = rows.map(([method, mean, low, high, n, seeds], row) => ({
      ...look(method),
      data: [{ x: mean, y: row }, ...(seeds ?? []).map((value) => ({ x: value, y: row + 0.28 }))],
      pointRadius: (context) => (context.dataIndex ? 1.8 : 5),
      pointHoverRadius: (context) => (context.dataIndex ? 3 : 7),
      interval: low === null || high === null ? null : { low, high, row },
      showLine: false,
      mean, low, high, n,
    }));
    const values = rows.flatMap((row) => [row[1], ...(row[5] ?? [])]);
    const floor = floorOf(values);
    const height = Math.max(21, 13 * Math.max(0, ...labels.map((label) => label.length)) + 7);
    const scales = {
      x: axis([...values, floor?.value ?? null], isLog, title(metric)),
      y: {
        type: "linear", reverse: true, min: -0.6, max: rows.length - 0.4, grid: { display: false }, border: { display: false },
        afterBuildTicks: (scale) => { scale.ticks = rows.map((_, row) => ({ value: row })); },
        ticks: { autoSkip: false, callback: (value) => labels[value], font: { size: isNarrow() ? 11 : 12 } },
      },
    };
    const label = ({ dataset, dataIndex, parsed }) => dataIndex
      ? `${dataset.label}, one seed: ${text(parsed.x)}`
      : `${dataset.label}: ${text(dataset.mean)}${dataset.interval ? ` [${text(dataset.low)}, ${text(dataset.high)}]` : ""}, n = ${dataset.n}`;
    const parts = ["Final values after the last step: mean, 95 % interval, small dots: seeds."];
    if (floor) parts.push(`Dashed: ${floor.name}, ${text(floor.value)}.`);
    if (all.length > rows.length) parts.push(`The first ${MOST_ROWS} of ${all.length} methods; hide some to see the others.`);
    const config = { type: "scatter", data: { datasets }, options: options(scales, label) };
    put("final", parts.join(" "), rows.length * height + 70, config, floor && { axis: "x", value: floor.value });
    document.getElementById("figure-final").classList.toggle("tall", rows.length * height > 420);
  }

  function drawTraining() {
    const { metric, isLog, shown, alongSeconds } = explorer;
    const rows = (shown.curves[metric] ?? []).filter((row) => isShown(row) && (!alongSeconds || row[0] in shown.seconds));
    const drawn = rows.slice(0, MOST_ROWS);
    const values = drawn.flatMap((row) => row[2]);
    const datasets = drawn.map(([method, steps, mean, low, high]) => {
      const along = steps.map((step) => (alongSeconds ? step * shown.seconds[method] : step));
      const hasBand = drawn.length <= MOST_BANDS && low.every((value) => value !== null) && high.every((value) => value !== null);
      return {
        ...look(method),
        data: along.map((x, at) => ({ x, y: isLog && mean[at] <= 0 ? null : mean[at] })),
        band: hasBand && along.length > 1 ? along.map((x, at) => [x, low[at], high[at]]) : null,
        pointRadius: steps.length > 25 ? 0 : 3,
        pointHoverRadius: 6,
        showLine: true,
        borderWidth: 1.8,
      };
    });
    const floor = floorOf(values);
    const along = axis(datasets.flatMap((one) => one.data.map((point) => point.x)), false, alongSeconds ? "Seconds of training" : "Step", true);
    const scales = { x: along, y: axis([...values, floor?.value ?? null], isLog, title(metric)) };
    const label = ({ dataset, parsed }) => `${dataset.label}: ${text(parsed.y)} at ${alongSeconds ? `${text(parsed.x)} s` : `step ${parsed.x}`}`;
    const parts = [`Over training: mean over seeds${datasets.some((one) => one.band) ? ", shaded: 95 % interval" : ""}.`];
    if (alongSeconds) parts.push("Seconds: steps times the time of one step alone on the device.");
    if (rows.length > drawn.length) parts.push(`${MOST_ROWS} of ${rows.length} methods.`);
    const config = { type: "scatter", data: { datasets }, options: options(scales, label) };
    put("training", parts.join(" "), isNarrow() ? 300 : 340, config, floor && { axis: "y", value: floor.value });
  }

  function drawAgainst() {
    const { metric, other, isLog, shown } = explorer;
    const across = new Map((shown.final[other] ?? []).map((row) => [row[0], row]));
    const isOtherLog = Boolean(other) && explorer.data.metrics[other].log && explorer.isPositive(other);
    const rows = (shown.final[metric] ?? []).filter((row) => isShown(row) && across.has(row[0]));
    const datasets = rows.map(([method, mean]) => ({
      ...look(method), data: [{ x: across.get(method)[1], y: mean }], pointRadius: 6, pointHoverRadius: 8, showLine: false,
    }));
    const scales = other && {
      x: axis(rows.map((row) => across.get(row[0])[1]), isOtherLog, title(other)),
      y: axis(rows.map((row) => row[1]), isLog, title(metric)),
    };
    const label = ({ dataset, parsed }) => `${dataset.label}: ${text(parsed.y)} at ${text(parsed.x)}`;
    const config = { type: "scatter", data: { datasets }, options: options(scales, label) };
    put("against", "One metric against another: means after the last step.", isNarrow() ? 300 : 340, config, null);
  }

  function draw() {
    drawFinal();
    drawTraining();
    drawAgainst();
  }

  let waiting = false;
  function soon(work) {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  }

  explorer.charts = charts;
  explorer.listeners.choice.push(draw);
  explorer.listeners.highlight.push(() => soon(() => Object.values(charts).forEach(paint)));
  for (const canvas of document.querySelectorAll("#explore canvas")) {
    canvas.addEventListener("mouseleave", () => explorer.pointAt(null));
  }
  let width = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (width === document.documentElement.clientWidth) return;
    width = document.documentElement.clientWidth;
    draw();
  });
})();
