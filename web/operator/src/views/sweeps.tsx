import { useState } from "preact/hooks";
import type { Sweep } from "@coatcheck/client/proto";
import { refused, say } from "../api.js";
import { bytes, count, duration } from "../format.js";
import { date } from "../shape.js";
import { useAsked, useWindow } from "../parts/hooks.js";
import { Dialog, Failure, numbers, Section, Table, When } from "../parts/parts.js";

/** Sweeps are the passes of the sweeper, and a way to ask for one. */
export function Sweeps() {
  const { admin, overview, announce, refuse } = useWindow();
  const sweeps = useAsked(async (a, signal) => (await a.listSweeps({ limit: 50 }, { signal })).sweeps, [overview.lastSweep?.startedAt?.seconds, overview.lastSweep?.startedAt?.nanos]);
  const [asking, setAsking] = useState(false);
  const [running, setRunning] = useState<"" | "dry" | "real">("");
  const [result, setResult] = useState<Sweep>();
  const [error, setError] = useState("");

  const run = async (dryRun: boolean) => {
    setAsking(false);
    setRunning(dryRun ? "dry" : "real");
    setError("");
    try {
      const { sweep } = await admin.runSweep({ dryRun });
      setResult(sweep);
      if (sweep) announce(`${dryRun ? "A sweep would do: " : "The sweep did: "}${what(sweep)}`);
      sweeps.again();
    } catch (e) {
      if (refused(e)) refuse(say(e));
      setError(say(e));
    }
    setRunning("");
  };

  return (
    <>
      <h1 tabIndex={-1}>Sweeps</h1>
      <p class="means">A sweep takes what is due: it asks S3 before it gives an upload up, deletes what nothing has claimed in time, and never touches what is confirmed. The last one began <When at={overview.sweptAt} short />.</p>
      <div class="buttons">
        <button type="button" disabled={running !== ""} onClick={() => void run(true)}>{running === "dry" ? "Asking…" : "Run a dry sweep"}</button>
        <button type="button" disabled={running !== ""} onClick={() => setAsking(true)}>{running === "real" ? "Sweeping…" : "Run a sweep"}</button>
      </div>
      <Failure error={error} />
      {result && (
        <div class="card result" data-testid="result">
          <h2>{result.dryRun ? "A sweep would do now" : "The sweep did"}</h2>
          <p>{what(result)}</p>
          {result.error && <Failure error={result.error} />}
        </div>
      )}
      <Dialog open={asking} title="Run a sweep now?" action="Run the sweep" onAction={() => void run(false)} onClose={() => setAsking(false)}>
        <p>It does what the sweepers do by themselves, at once: what is due is deleted from the bucket. What is confirmed is not touched.</p>
      </Dialog>
      <Section id="sweeps" title="Passes that did anything" means="They are kept for 30 days.">
        <Failure error={sweeps.error} again={sweeps.again} />
        {sweeps.answer?.length === 0 && <p class="muted">None so far.</p>}
        {sweeps.answer && sweeps.answer.length > 0 && (
          <Table caption="Passes of the sweeper, newest first" heads={["Began", "Took", "What", ...numbers("Deleted", "Failed")]}>
            {sweeps.answer.map((s, i) => (
              <tr key={i}>
                <th scope="row"><When at={s.startedAt} /></th>
                <td>{s.finishedAt && s.startedAt ? duration(date(s.finishedAt).getTime() - date(s.startedAt).getTime()) : "–"}</td>
                <td class="wide">{s.dryRun && <span class="tag">dry</span>}{s.askedFor && <span class="tag">asked for</span>}{s.incomplete && <span class="tag">incomplete</span>}{what(s)}{s.error && <p class="bad">{s.error}</p>}</td>
                <td class="n">{count(s.deleted)}<br /><small class="muted">{bytes(s.deletedBytes)}</small></td>
                <td class={s.failed > 0n ? "n bad" : "n"}>{count(s.failed)}</td>
              </tr>
            ))}
          </Table>
        )}
      </Section>
    </>
  );
}

/** what is what a pass did, or would do, in words. */
export function what(s: Sweep): string {
  const counts: [bigint, string][] = [
    [s.landed, "landed after all"], [s.rejected, "rejected"], [s.neverUploaded, "never uploaded"], [s.unclaimed, "unclaimed"],
    [s.deleted, `deleted (${bytes(s.deletedBytes)})`], [s.failed, "failed"], [s.purged, "forgotten"],
  ];
  const parts = counts.filter(([n]) => n > 0n).map(([n, name]) => `${count(n)} ${name}`);
  return (parts.join(", ") || "nothing") + (s.incomplete ? "; more may be due" : "") + ".";
}
