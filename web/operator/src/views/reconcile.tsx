import { ReconcilePhase } from "@coatcheck/client/proto";
import { bytes, count, duration } from "../format.js";
import { ms } from "../shape.js";
import { findingName, policyName } from "../words.js";
import { useAsked, usePages, useWindow } from "../parts/hooks.js";
import { Failure, More, numbers, Section, Table, When } from "../parts/parts.js";
import { Progress, took } from "./reconciles.js";

/** ReconcileView is one reconciliation: what it counted, and what it found. */
export function ReconcileView({ id }: { id: string }) {
  const { overview } = useWindow();
  const last = overview.lastReconcile?.id === id ? overview.lastReconcile : undefined;
  const asked = useAsked(async (a, signal) => (await a.getReconcile({ reconcileId: id }, { signal })).reconcile, [last?.phase]);
  const findings = usePages(async (a, token, signal) => {
    const page = await a.listFindings({ reconcileId: id, pageSize: 100, pageToken: token }, { signal });
    return { items: page.findings, next: page.nextPageToken };
  }, [last?.phase]);
  const run = last && asked.answer?.phase !== ReconcilePhase.DONE ? last : asked.answer;
  const settings = run?.settings;
  return (
    <>
      <h1 tabIndex={-1}>Reconciliation</h1>
      <p class="means"><a href="#/reconciliations">All reconciliations</a> · <code>{id}</code></p>
      <Failure error={asked.error} again={asked.again} />
      {run && (
        <>
          <div class="card"><Progress run={run} /></div>
          <dl class="facts">
            <div><dt>Began</dt><dd><When at={run.startedAt} /></dd></div>
            <div><dt>Took</dt><dd>{took(run)}</dd></div>
            <div><dt>The one before began</dt><dd><When at={run.priorStartedAt} /></dd></div>
            {settings && <div><dt>Settings</dt><dd>{settings.dryRun ? "dry, " : ""}{policyName[settings.policy]}{settings.grace && `, grace ${duration(ms(settings.grace))}`}, at most {count(settings.deleteBudget)} removed, from {settings.source === "listing" ? "a listing" : settings.source}</dd></div>}
          </dl>
          <Section id="counts" title="Counts" means="docs/reconciling.md tells what each means. What is not there is 0.">
            <dl class="facts">
              {Object.entries(run.counts).filter(([, n]) => n > 0n).sort(([a], [b]) => a.localeCompare(b)).map(([name, n]) => (
                <div key={name}><dt>{name.replaceAll("_", " ")}</dt><dd>{name.endsWith("bytes") ? bytes(n) : count(n)}</dd></div>
              ))}
            </dl>
          </Section>
          <Section id="findings" title="Findings" means="Beside strays and missing objects, which have lists of their own.">
            <Failure error={findings.error} />
            {findings.asked && !findings.error && findings.items.length === 0 && <p class="muted">None.</p>}
            {findings.items.length > 0 && (
              <Table caption="Findings" heads={["What", "Key", ...numbers("Size"), "Detail", "Found"]}>
                {findings.items.map((f, i) => (
                  <tr key={i}>
                    <th scope="row">{findingName[f.kind]}</th>
                    <td class="key"><a href={`#/search?${new URLSearchParams({ q: f.mediaId || f.key })}`}>{f.key}</a></td>
                    <td class="n">{f.sizeBytes === undefined ? "–" : bytes(f.sizeBytes)}</td><td class="wide">{f.detail}</td><td><When at={f.foundAt} /></td>
                  </tr>
                ))}
              </Table>
            )}
            <More pages={findings} what="findings" />
          </Section>
        </>
      )}
    </>
  );
}
