import { MediaState, type Overview } from "@coatcheck/client/proto";
import { count } from "./format.js";
import { overdue, total, waiting } from "./shape.js";

/** summary is the overview in a sentence, for those who listen. */
export function summary(o: Overview): string {
  const parts = [
    `${count(total(o.media, (m) => m.state === MediaState.CONFIRMED).media)} confirmed`,
    `${count(waiting(o, MediaState.UPLOADED))} uploaded and unclaimed`,
    `${count(waiting(o, MediaState.PENDING))} pending`,
    `${count(waiting(o, MediaState.DELETING))} deleting`,
  ];
  const troubles: [number, string][] = [
    [Number(o.strays), "strays"], [Number(o.missing), "missing"], [Number(o.queue?.deadLetters ?? 0), "dead letters"], [overdue(o).media, "overdue"],
  ];
  for (const [n, name] of troubles) if (n > 0) parts.push(`${count(n)} ${name}`);
  return parts.join(", ");
}
