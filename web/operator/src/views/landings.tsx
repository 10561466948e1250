import type { Overview } from "@coatcheck/client/proto";
import { count, share, things, time } from "../format.js";
import { date, loss, lossOfRun, sources } from "../shape.js";
import { sourceMeans, sourceName } from "../words.js";
import { BarChart } from "../parts/chart.js";
import { useAsked } from "../parts/hooks.js";
import { numbers, Section, Table } from "../parts/parts.js";

/** Landings tell how it was learnt that objects are there, and how many notifications were lost. */
export function Landings({ overview }: { overview: Overview }) {
  const rows = sources.map((source) => {
    const told = overview.landings.find((l) => l.source === source);
    return { source, media: Number(told?.media ?? 0), unnotified: Number(told?.unnotified ?? 0) };
  });
  const lost = loss(overview.landings);
  return (
    <Section id="landings" title="How landings were learnt" means="Of the media that were created in the last 7 days.">
      <p class="verdict" data-testid="loss"><b>{lost.landed === 0 ? "–" : share(lost.unnotified, lost.landed)}</b> of {things(lost.landed, "landing")} without a notification{" "}
        ({count(lost.unnotified)}): lost, or still on their way.</p>
      <LastRun overview={overview} />
      <BarChart height={180} label={rows.map((r) => `${sourceName[r.source]}: ${count(r.media)}, of those ${count(r.unnotified)} without a notification`).join("; ")}
        bars={{
          labels: rows.map((r) => sourceName[r.source]), sideways: true, stacked: true, number: count,
          series: [
            { name: "Notified", color: "landed", values: rows.map((r) => r.media - r.unnotified), width: 0.7 },
            { name: "Not notified", color: "never", values: rows.map((r) => r.unnotified), width: 0.7 },
          ],
        }} />
      <Table caption="Landings by how they were learnt" heads={["Learnt by", ...numbers("Landings", "Not notified")]}>
        {rows.map((r) => (
          <tr key={r.source}><th scope="row">{sourceName[r.source]}<br /><small class="muted">{sourceMeans[r.source]}</small></th><td class="n">{count(r.media)}</td><td class="n">{count(r.unnotified)}</td></tr>
        ))}
      </Table>
    </Section>
  );
}

function LastRun({ overview }: { overview: Overview }) {
  const runs = useAsked(async (admin, signal) => (await admin.listReconciles({ limit: 20 }, { signal })).reconciles,
    [overview.lastReconcile?.id, overview.lastReconcile?.outcome]);
  const lost = lossOfRun(runs.answer ?? []);
  if (!lost) return <p class="muted">The newest reconciliation has not measured it: none has finished yet, or nothing had landed since the one before.</p>;
  return <p><b>{share(lost.unnotified, lost.landed)}</b> by the <a href={`#/reconciliations/${lost.run.id}`}>reconciliation of {time(date(lost.run.startedAt))}</a>: {count(lost.unnotified)} of {things(lost.landed, "landing")} since the one before had to be found by a sweep or a listing.</p>;
}
