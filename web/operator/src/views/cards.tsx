import { MediaState, type Overview } from "@coatcheck/client/proto";
import { bytes, count, duration } from "../format.js";
import { overdue, total, waiting } from "../shape.js";
import { stateMeans } from "../words.js";

/** Cards are the numbers that one looks for first, each with what it means and a way to more. */
export function Cards({ overview: o }: { overview: Overview }) {
  const of = (state: MediaState) => total(o.media, (m) => m.state === state);
  const confirmed = of(MediaState.CONFIRMED);
  const late = overdue(o);
  const letters = o.queue?.hasDeadLetterQueue ? Number(o.queue.deadLetters) : undefined;
  return (
    <ul class="cards">
      <Card id="confirmed" name="Confirmed" n={confirmed.media} and={bytes(confirmed.bytes)} means={stateMeans[MediaState.CONFIRMED]} to="#classes" />
      <Card id="uploaded" name="Uploaded, unclaimed" n={waiting(o, MediaState.UPLOADED)} and={bytes(of(MediaState.UPLOADED).bytes)} means={stateMeans[MediaState.UPLOADED]} to="#classes" />
      <Card id="pending" name="Pending" n={waiting(o, MediaState.PENDING)} and="" means={stateMeans[MediaState.PENDING]} to="#classes" />
      <Card id="deleting" name="Deleting" n={waiting(o, MediaState.DELETING)} and={bytes(of(MediaState.DELETING).bytes)} means={stateMeans[MediaState.DELETING]} to="#/sweeps" />
      <Card id="overdue" name="Overdue" n={late.media} and={late.media > 0 ? `the oldest for ${duration(late.oldestMs)}` : ""} look={late.oldestMs > 60_000} means="Due, and taken by no sweep yet." to="#lag" />
      <Card id="strays" name="Strays" n={Number(o.strays)} and={o.strays > 0n ? bytes(o.strayBytes) : ""} means="Objects that no media explains." to="#/strays" />
      <Card id="missing" name="Missing" n={Number(o.missing)} and="" look={o.missing > 0n} means="Landed and wanted, and the object is gone." to="#/missing" />
      <Card id="dead-letters" name="Dead letters" n={letters} and={letters === undefined ? "this process knows no dead-letter queue" : ""} look={(letters ?? 0) > 0} means="Notifications that the consumer gave up." to="#/dead-letters" />
    </ul>
  );
}

function Card({ id, name, n, and, means, to, look = false }: {
  id: string; name: string; n: number | undefined; and: string; means: string; to: string; look?: boolean;
}) {
  const inside = to.startsWith("#/") ? {} : { onClick: (e: Event) => { e.preventDefault(); goTo(to.slice(1)); } };
  return (
    <li class={look ? "card look" : "card"} data-card={id}>
      <h2><a href={to} {...inside}>{name}</a></h2>
      <p class="number"><b>{n === undefined ? "–" : count(n)}</b>{look && <span class="flag">look</span>}{and && <span class="muted">{and}</span>}</p>
      <p class="means">{means}</p>
    </li>
  );
}

/** goTo takes sight and keyboard to a section of this view. */
function goTo(section: string) {
  const heading = document.getElementById(`${section}-title`);
  heading?.scrollIntoView({ block: "start" });
  heading?.focus({ preventScroll: true });
}
