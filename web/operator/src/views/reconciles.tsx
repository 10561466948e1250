import { useState } from "preact/hooks";
import { ReconcileOutcome, ReconcilePhase, type Reconcile } from "@coatcheck/client/proto";
import { refused, say } from "../api.js";
import { count, duration } from "../format.js";
import { date } from "../shape.js";
import { outcomeName, phaseName } from "../words.js";
import { useAsked, useWindow } from "../parts/hooks.js";
import { Failure, numbers, Section, Table, When } from "../parts/parts.js";

/** Reconciles are the comparisons of the bucket with the table, and a way to begin a dry one. */
export function Reconciles() {
  const { admin, overview, announce, refuse } = useWindow();
  const last = overview.lastReconcile;
  const runs = useAsked(async (a, signal) => (await a.listReconciles({ limit: 50 }, { signal })).reconciles, [last?.id, last?.phase]);
  const [error, setError] = useState("");
  const [starting, setStarting] = useState(false);
  const start = async () => {
    setStarting(true);
    setError("");
    try {
      await admin.startReconcile({ dryRun: true });
      announce("A dry reconciliation has begun.");
      runs.again();
    } catch (e) {
      if (refused(e)) refuse(say(e));
      setError(say(e));
    }
    setStarting(false);
  };
  // The overview is newer than the list, for the run that it tells of.
  const shown = (runs.answer ?? []).map((r) => (last && last.id === r.id && r.phase !== ReconcilePhase.DONE ? last : r));
  return (
    <>
      <h1 tabIndex={-1}>Reconciliations</h1>
      <p class="means">A reconciliation holds the bucket's listing against the table: it finds strays, missing objects and lost notifications. A dry one records what it finds and changes nothing else.</p>
      <div class="buttons"><button type="button" disabled={starting} onClick={() => void start()}>{starting ? "Starting…" : "Start a dry reconciliation"}</button></div>
      <Failure error={error} />
      <Section id="reconciles" title="The newest" means="The last 100 are kept.">
        <Failure error={runs.error} again={runs.again} />
        {runs.answer?.length === 0 && <p class="muted">None so far.</p>}
        {shown.length > 0 && (
          <Table caption="Reconciliations, newest first" heads={["Began", "How it goes", "Took", ...numbers("Objects", "Strays", "Missing", "Removed", "Lost notifications")]}>
            {shown.map((r) => (
              <tr key={r.id}>
                <th scope="row"><When at={r.startedAt} to={`#/reconciliations/${r.id}`} /></th>
                <td class="wide"><Progress run={r} /></td>
                <td>{took(r)}</td>
                {["objects", "strays", "missing", "removed", "lost_notifications"].map((name) => <td key={name} class="n">{count(r.counts[name] ?? 0n)}</td>)}
              </tr>
            ))}
          </Table>
        )}
      </Section>
    </>
  );
}

export function took(r: Reconcile): string {
  return r.finishedAt ? duration(date(r.finishedAt).getTime() - date(r.startedAt).getTime()) : "–";
}

/** Progress is how far a run is, or how it ended. */
export function Progress({ run: r }: { run: Reconcile }) {
  const done = r.phase === ReconcilePhase.DONE;
  const bad = r.outcome === ReconcileOutcome.TRIPPED || r.outcome === ReconcileOutcome.ABANDONED;
  return (
    <>
      {r.settings?.dryRun && <span class="tag">dry</span>}{r.settings?.adopt && <span class="tag">adoption</span>}
      {done ? <span class={bad ? "bad" : ""}>{outcomeName[r.outcome]}</span> : (
        <>
          {phaseName[r.phase]}: {r.shardsDone} of {r.shards} parts
          <progress max={Math.max(1, r.shards)} value={r.shardsDone} aria-label={`${phaseName[r.phase]}: ${r.shardsDone} of ${r.shards} parts`} />
        </>
      )}
      {r.explanation && <p class="means">{r.explanation}</p>}
    </>
  );
}
