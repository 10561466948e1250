import { count, things } from "../format.js";
import { useAsked, useWindow } from "../parts/hooks.js";
import { Failure, When } from "../parts/parts.js";

/** DeadLetters are the messages that the consumer gave up, as the queue gives them out. */
export function DeadLetters() {
  const { overview } = useWindow();
  const asked = useAsked(async (a, signal) => (await a.listDeadLetters({ limit: 50 }, { signal })).deadLetters, []);
  const letters = asked.answer ?? [];
  const all = overview.queue?.hasDeadLetterQueue ? overview.queue.deadLetters : undefined;
  return (
    <>
      <h1 tabIndex={-1}>Dead letters</h1>
      <p class="means">Notifications that the consumer gave up{all !== undefined && <>: {count(all)}, as SQS estimates it</>}. After the cause is mended, <code>coatcheck queue redrive</code> moves them back. Looking leaves them there, and hides them from others for some seconds.</p>
      <div class="buttons"><button type="button" disabled={asked.asking} onClick={asked.again}>{asked.asking ? "Looking…" : "Look again"}</button></div>
      <Failure error={asked.error} />
      {asked.answer && !asked.error && <p role="status">{letters.length === 0 ? "There are none to be had now." : `${things(letters.length, "letter")} shown.`}</p>}
      <ul class="letters">
        {letters.map((l) => (
          <li key={l.messageId} class="card">
            <h2>{l.reason || "It does not say why."}</h2>
            <p class="means">Sent <When at={l.sentAt} />, received {things(l.receives, "time")}. <code>{l.messageId}</code></p>
            <details><summary>Its body{l.body.length >= 4096 && ", the beginning"}</summary><pre tabIndex={0}>{pretty(l.body)}</pre></details>
          </li>
        ))}
      </ul>
    </>
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
