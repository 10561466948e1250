import { MediaState, type MediaRecord } from "@coatcheck/client/proto";
import { bytes, count, duration, time } from "../format.js";
import { life } from "../life.js";
import { reasonMeans, reasonName, stateMeans, stateName } from "../words.js";
import { useNow } from "../parts/hooks.js";

/** MediaLife is one media: where it is, its life on a line, and all that is known of it. */
export function MediaLife({ record: r }: { record: MediaRecord }) {
  const now = useNow();
  const m = r.media;
  if (!m) return null;
  const steps = life(r, now);
  const facts: [string, string][] = [
    ["Id", m.id], ["Key", m.key], ["Tenant", r.tenant], ["Owner", m.owner], ["File name", m.fileName], ["Content type", m.contentType],
    ["Size", `${bytes(m.sizeBytes)} (${count(m.sizeBytes)} B)`], ["SHA-256", m.checksumSha256], ["ETag", m.etag], ["Version", m.versionId],
    ["Claim", m.claim], ["Notified by S3", r.notified ? "yes" : m.landedAt ? "no" : ""],
    ["Attempts to delete", r.attempts > 0 ? count(r.attempts) : ""], ["Last error", r.lastError],
    ...Object.entries(m.metadata).map(([name, value]): [string, string] => [`metadata: ${name}`, value]),
  ];
  return (
    <>
      <p class="verdict"><span class={`state s-${MediaState[m.state].toLowerCase()}`}>{stateName[m.state]}{reasonName[m.deleteReason] && `: ${reasonName[m.deleteReason]}`}</span> {reasonMeans[m.deleteReason] || stateMeans[m.state]}</p>
      <section aria-labelledby="life-title" class="section">
        <h2 id="life-title">Its life</h2>
        <ol class="life">
          {steps.map((step, i) => {
            const before = steps[i - 1];
            return (
              <li key={step.name} class={step.ahead ? "ahead" : ""}>
                {before && <span class="gap">{duration(step.at.getTime() - before.at.getTime())} later</span>}
                <b>{step.name}</b>
                <time dateTime={step.at.toISOString()}>{time(step.at, now)}</time>
                {step.ahead && <span class="tag">to come</span>}
                {step.detail && <span class="muted">{step.detail}</span>}
              </li>
            );
          })}
        </ol>
      </section>
      <section aria-labelledby="facts-title" class="section">
        <h2 id="facts-title">What is known</h2>
        <dl class="facts">{facts.filter(([, value]) => value).map(([name, value]) => <div key={name}><dt>{name}</dt><dd class={name === "Last error" ? "bad" : "key"}>{value}</dd></div>)}</dl>
      </section>
    </>
  );
}
