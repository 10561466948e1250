import { useEffect, useRef, useState } from "preact/hooks";
import type { ChartConfiguration } from "chart.js";

type Draw = typeof import("./draw.js");

/** Bars is a chart of bars. Its colours are those of the style sheet, by their names. */
export interface Bars {
  readonly labels: readonly string[];
  readonly series: readonly Series[];
  /** Bars lie sideways. */
  readonly sideways?: boolean;
  /** Bars of all series are stacked; else those that name a stack are, and the others lie over each other. */
  readonly stacked?: boolean;
  /** What stands beside each place of the axis, where that is not its label. */
  readonly ticks?: readonly (string | null)[];
  number(n: number): string;
}

export interface Series {
  readonly name: string;
  readonly color: string;
  readonly values: readonly number[];
  readonly stack?: string;
  /** Share of its place that a bar takes, from 0 to 1. */
  readonly width?: number;
}

/**
 * BarChart draws bars. What it shows is told in words by its label, and beside it by a table: a drawing says nothing to those
 * who do not see it.
 */
export function BarChart({ bars, label, height }: { bars: Bars; label: string; height: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [draw, setDraw] = useState<Draw>();
  const [failed, setFailed] = useState(false);
  const chart = useRef<InstanceType<Draw["Chart"]> | undefined>(undefined);
  const theme = useTheme();
  useEffect(() => {
    let here = true;
    import("./draw.js").then((d) => { if (here) setDraw(d); }, () => { if (here) setFailed(true); });
    return () => { here = false; };
  }, []);
  useEffect(() => () => chart.current?.destroy(), []);
  useEffect(() => {
    if (!draw || !canvas.current) return;
    const config = configOf(bars, getComputedStyle(canvas.current));
    if (!chart.current) {
      chart.current = new draw.Chart(canvas.current, config);
      return;
    }
    chart.current.data = config.data;
    chart.current.options = config.options!;
    chart.current.update("none");
  }, [draw, theme, JSON.stringify(bars)]);
  if (failed) return <p class="muted">The chart could not be loaded. The table has its numbers.</p>;
  return (
    <>
      <ul class="legend" aria-hidden="true">{bars.series.map((s) => <li key={s.name}><i class={`swatch c-${s.color}`} />{s.name}</li>)}</ul>
      <div class={`drawing h-${height}`}><canvas ref={canvas} role="img" aria-label={label} /></div>
    </>
  );
}

function configOf(bars: Bars, style: CSSStyleDeclaration): ChartConfiguration<"bar"> {
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const number = {
    stacked: bars.stacked || undefined,
    beginAtZero: true,
    border: { display: false },
    grid: { color: color("grid") },
    ticks: { color: color("muted"), maxTicksLimit: 6, callback: (v: string | number) => (Number.isInteger(Number(v)) ? bars.number(Math.abs(Number(v))) : null) },
  };
  const names = {
    stacked: bars.stacked || undefined,
    border: { color: color("grid") },
    grid: { display: false },
    ticks: { color: color("muted"), autoSkip: false, maxRotation: 0, minRotation: 0,
      callback: (_: unknown, i: number) => (bars.ticks ?? bars.labels)[i] },
  };
  return {
    type: "bar",
    data: {
      labels: [...bars.labels],
      datasets: bars.series.map((s) => ({
        label: s.name, data: s.values.map((v) => v || null), backgroundColor: color(s.color), grouped: bars.stacked ?? false,
        barPercentage: s.width ?? 0.9, categoryPercentage: 1, ...(s.stack ? { stack: s.stack } : {}),
      })),
    },
    options: {
      indexAxis: bars.sideways ? "y" : "x",
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", axis: bars.sideways ? "y" : "x", intersect: false },
      font: { family: style.fontFamily },
      scales: bars.sideways ? { x: number, y: names } : { x: names, y: number },
      plugins: {
        tooltip: {
          backgroundColor: color("ink"), titleColor: color("surface"), bodyColor: color("surface"), boxPadding: 4,
          callbacks: { label: (item) => ` ${item.dataset.label}: ${bars.number(Math.abs(Number(item.raw)))}` },
        },
      },
    },
  };
}

/** useTheme is whether the page is dark, and changes with it. */
function useTheme(): string {
  const read = () => document.documentElement.dataset["theme"] ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const [theme, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", changed);
    const seen = new MutationObserver(changed);
    seen.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      media.removeEventListener("change", changed);
      seen.disconnect();
    };
  }, []);
  return theme;
}
