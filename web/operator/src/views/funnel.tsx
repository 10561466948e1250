import { useState } from "preact/hooks";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Overview } from "@coatcheck/client/proto";
import { count, hour, share } from "../format.js";
import { hours, sum, type Hour } from "../shape.js";
import { BarChart, type Bars } from "../parts/chart.js";
import { Choice, numbers, Section, Table } from "../parts/parts.js";

const spans = { day: "24 hours", week: "7 days" };
const lengths = { day: 24, week: 168 };

/** Funnel is what became of the media that were created in each hour. */
export function Funnel({ overview }: { overview: Overview }) {
  const [span, setSpan] = useState<keyof typeof spans>("week");
  const countedAt = overview.countedAt ? timestampDate(overview.countedAt) : new Date();
  const all = hours(overview.funnel, countedAt, lengths[span]);
  const [presigned, landed, confirmed] = [sum(all, "presigned"), sum(all, "landed"), sum(all, "confirmed")];
  const [never, unclaimed] = [sum(all, "neverUploaded"), sum(all, "unclaimed")];
  return (
    <Section id="funnel" title="The funnel" tools={<Choice label="Time shown" value={span} of={spans} set={(v) => setSpan(v)} />}
      means="What became, until now, of the media that were created in each hour. Below the line: what was given up.">
      <dl class="steps">
        <div><dt>Presigned</dt><dd data-n="presigned">{count(presigned)}</dd></div>
        <div><dt>Landed</dt><dd><span data-n="landed">{count(landed)}</span> <small>{share(landed, presigned)}</small></dd></div>
        <div><dt>Confirmed</dt><dd><span data-n="confirmed">{count(confirmed)}</span> <small>{share(confirmed, presigned)}</small></dd></div>
        <div><dt>Never uploaded</dt><dd data-n="neverUploaded">{count(never)}</dd></div>
        <div><dt>Unclaimed</dt><dd data-n="unclaimed">{count(unclaimed)}</dd></div>
      </dl>
      <BarChart bars={bars(all)} height={260} label={
        `Bars by hour, ${spans[span]}: ${count(presigned)} presigned, ${count(landed)} landed, ${count(confirmed)} confirmed, ${count(never)} never uploaded, ${count(unclaimed)} unclaimed. The table below has each hour.`} />
      <details class="as-table">
        <summary>As a table</summary>
        <HourTable all={all} />
      </details>
    </Section>
  );
}

function bars(all: readonly Hour[]): Bars {
  return {
    labels: all.map((h) => hour(h.start)),
    ticks: all.map((h) => tick(h.start, all.length > 24)),
    number: count,
    // The narrow bars lie in front of the wide ones, since what is confirmed has landed, and what has landed was presigned.
    series: [
      { name: "Confirmed", color: "confirmed", values: all.map((h) => h.confirmed), width: 0.4 },
      { name: "Landed", color: "landed", values: all.map((h) => h.landed), width: 0.7 },
      { name: "Presigned", color: "presigned", values: all.map((h) => h.presigned), width: 1 },
      { name: "Never uploaded", color: "never", values: all.map((h) => -h.neverUploaded), stack: "lost", width: 1 },
      { name: "Unclaimed", color: "unclaimed", values: all.map((h) => -h.unclaimed), stack: "lost", width: 1 },
    ],
  };
}

/** tick is what stands below an hour: the day, or the time of day, where one begins. */
function tick(at: Date, days: boolean): string | null {
  if (at.getHours() % (days ? 24 : 6) !== 0) return null;
  return days ? at.toLocaleDateString("en-GB", { weekday: "short" }) : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function HourTable({ all }: { all: readonly Hour[] }) {
  const told = all.filter((h) => h.presigned > 0).reverse();
  if (told.length === 0) return <p class="muted">No media was created in this time.</p>;
  return (
    <Table compact caption="The funnel by hour, newest first" heads={["Hour", ...numbers("Presigned", "Landed", "Confirmed", "Never uploaded", "Unclaimed")]}>
      {told.map((h) => (
        <tr key={h.start.getTime()}>
          <th scope="row">{hour(h.start)}</th>
          {[h.presigned, h.landed, h.confirmed, h.neverUploaded, h.unclaimed].map((n, i) => <td key={i} class="n">{count(n)}</td>)}
        </tr>
      ))}
    </Table>
  );
}
