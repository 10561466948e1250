import type { Overview } from "@coatcheck/client/proto";
import { count, duration } from "../format.js";
import { ms, states } from "../shape.js";
import { stateName } from "../words.js";
import { numbers, Section, Table, When } from "../parts/parts.js";

/** Lag is how far behind what happens the records are. */
export function Lag({ overview: o }: { overview: Overview }) {
  return (
    <Section id="lag" title="Lag" means="How long landings took in the last hour, from the request for a URL to the notified landing; and what waits.">
      <dl class="steps">
        <div><dt>Half landed within</dt><dd>{o.landingP50 ? duration(ms(o.landingP50)) : "–"}</dd></div>
        <div><dt>99 of 100 within</dt><dd>{o.landingP99 ? duration(ms(o.landingP99)) : "–"}</dd></div>
      </dl>
      <Table caption="Overdue, by state" heads={["State", ...numbers("Media", "Overdue", "Oldest for")]}>
        {states.flatMap((state) => o.backlog.filter((b) => b.state === state)).map((b) => (
          <tr key={b.state}>
            <th scope="row">{stateName[b.state]}</th><td class="n">{count(b.media)}</td><td class="n">{count(b.overdue)}</td>
            <td class="n">{b.oldestOverdue ? duration(ms(b.oldestOverdue)) : "–"}</td>
          </tr>
        ))}
      </Table>
      <dl class="facts">
        <div><dt>Notifications that wait</dt><dd>{o.queue ? count(o.queue.waiting) : "this process knows no queue"}</dd></div>
        {o.queue && <div><dt>in flight</dt><dd>{count(o.queue.inFlight)}</dd></div>}
        <div><dt>Last sweep began</dt><dd><When at={o.sweptAt} short /></dd></div>
        <div><dt>Last reconciliation began</dt><dd><When at={o.lastReconcile?.startedAt} short /></dd></div>
      </dl>
    </Section>
  );
}
