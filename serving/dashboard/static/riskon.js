/* Makes nicer what works without it: values under the pointer, and zoom by plotly when asked. */
"use strict";
(() => {
  if (document.querySelector("[data-again]")) {
    // What is being made is shown when it is there; nothing moves before.
    const look = async () => {
      const answer = await fetch(location.href).catch(() => null);
      if (answer && answer.ok) location.reload(); else setTimeout(look, 3000);
    };
    setTimeout(look, 2000);
    return;
  }
  const held = document.getElementById("series");
  const stack = document.querySelector("[data-stack]");
  if (!held || !stack) return;
  const series = JSON.parse(held.textContent);
  if (!series.day) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const minus = (text) => text.replace("-", "\u2212");
  const percent = (digits) => (v) => minus((100 * v).toFixed(digits)) + "\u00a0%";
  const plus = (digits) => (v) => (v > 0 ? "+" : "") + percent(digits)(v);
  const said = {
    close: (v) => v.toLocaleString("en", { maximumSignificantDigits: v < 100 ? 3 : 6, maximumFractionDigits: v < 100 ? 3 : 0 }),
    nearness_all_time: percent(1), flow_20s: plus(2), breadth_above_200s: percent(0),
    breadth_high_minus_low: plus(1), probability: percent(1),
  };
  const labels = [...stack.querySelectorAll("[data-now]")];
  const before = labels.map((label) => label.innerHTML);
  const charts = [...stack.querySelectorAll("svg.panel")];
  const lines = charts.map((chart) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    line.setAttribute("class", "cross");
    line.setAttribute("y1", "0");
    line.setAttribute("y2", "100%");
    line.setAttribute("visibility", "hidden");
    chart.append(line);
    return line;
  });
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

  const nearest = (share) => {
    let low = 0;
    let high = series.at.length - 1;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (series.at[mid] < share) low = mid + 1; else high = mid;
    }
    return low > 0 && share - series.at[low - 1] < series.at[low] - share ? low - 1 : low;
  };
  const show = (at) => {
    lines.forEach((line) => {
      line.setAttribute("x1", series.at[at] + "%");
      line.setAttribute("x2", series.at[at] + "%");
      line.setAttribute("visibility", "visible");
    });
    labels.forEach((label) => {
      const name = label.dataset.now;
      const value = series[name] ? series[name][at] : null;
      let text = value === null || value === undefined ? "\u2014" : said[name](value);
      if (name === "probability" && series.base_rate[at] !== null && value !== null) {
        text += ` (${percent(1)(series.lower[at])} to ${percent(1)(series.upper[at])}), base rate ${percent(1)(series.base_rate[at])}`;
      }
      label.textContent = `${day.format(new Date(series.day[at]))}: ${text}`;
    });
  };
  const hide = () => {
    lines.forEach((line) => line.setAttribute("visibility", "hidden"));
    labels.forEach((label, k) => { label.innerHTML = before[k]; });
  };
  charts.forEach((chart) => {
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      show(nearest(100 * (event.clientX - box.left) / box.width));
    });
    chart.addEventListener("pointerleave", hide);
  });

  const button = document.getElementById("explore");
  const place = document.getElementById("plotly");
  if (!button || !place) return;
  button.hidden = false;

  const load = () => new Promise((done, failed) => {
    if (window.Plotly) { done(); return; }
    // Its rules stand in our style sheet; this mark tells it to write none.
    const mark = document.createElement("meta");
    mark.id = "plotly.js-style-global";
    mark.className = "no-inline-styles";
    document.head.append(mark);
    const script = document.createElement("script");
    script.src = button.dataset.plotly;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  const drawn = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const boxes = [...stack.querySelectorAll(".panel-box")];
    const names = labels.map((label) => label.dataset.now);
    const gap = 0.05;
    const each = (1 - gap * (names.length - 1)) / (names.length + 1);
    const font = { family: style.getPropertyValue("--sans"), color: colour("--quiet"), size: 12 };
    const layout = {
      height: 820, margin: { l: 56, r: 20, t: 30, b: 36 }, showlegend: false, hovermode: "x unified", font,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: "zoom", annotations: [],
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--strong"), font },
      xaxis: { type: "date", anchor: names.length > 1 ? `y${names.length}` : "y", gridcolor: colour("--grid"), hoverformat: "%-d %b %Y" },
    };
    const filled = new Set(["flow_20s", "breadth_high_minus_low"]);
    let top = 1;
    const traces = names.map((name, k) => {
      const tall = k === 0 ? 2 * each : each;
      const axis = k === 0 ? "" : k + 1;
      layout[`yaxis${axis}`] = {
        domain: [Math.max(top - tall, 0), top], gridcolor: colour("--grid"), zerolinecolor: colour("--strong"),
        type: name === "close" ? "log" : "linear", tickformat: name === "close" ? "~s" : ".0%", nticks: 5,
      };
      const heading = boxes[k].querySelector("h2").textContent;
      layout.annotations.push({ text: heading, x: 0, xref: "paper", xanchor: "left", y: top, yref: "paper", yanchor: "bottom", showarrow: false, font: { ...font, color: colour("--ink") } });
      top -= tall + gap;
      return {
        x: series.day, y: series[name], yaxis: `y${axis}`, xaxis: "x", name: heading, type: "scatter", mode: "lines",
        line: { width: 1.5, color: k === 0 ? colour("--blue") : colour("--ink") },
        fill: filled.has(name) ? "tozeroy" : "none", fillcolor: colour("--blue-soft"),
        hovertemplate: name === "close" ? "%{y:,.4~r}" : "%{y:.1%}",
      };
    });
    window.Plotly.newPlot(place, traces, layout, { responsive: true, displayModeBar: false, scrollZoom: false });
  };
  button.addEventListener("click", async () => {
    if (!place.hidden) {
      place.hidden = true;
      stack.hidden = false;
      button.textContent = "Zoom and pan";
      return;
    }
    button.disabled = true;
    button.textContent = "Loading\u2026";
    try {
      await load();
      place.hidden = false;
      stack.hidden = true;
      drawn();
      button.textContent = "Back to the page";
      if (!still) place.scrollIntoView({ behavior: "smooth", block: "nearest" });
    } catch {
      button.textContent = "Zoom is not there";
    }
    button.disabled = false;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!place.hidden) drawn();
  });
})();
