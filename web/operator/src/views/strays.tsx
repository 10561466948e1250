import { useState } from "preact/hooks";
import { bytes, things } from "../format.js";
import { usePages, useWindow } from "../parts/hooks.js";
import { Choice, Failure, More, numbers, Table, When } from "../parts/parts.js";

const which = { there: "There", removed: "Removed" };

/** Strays are the objects that no media explains. */
export function Strays() {
  const { overview } = useWindow();
  const [shown, setShown] = useState<keyof typeof which>("there");
  const removed = shown === "removed";
  const strays = usePages(async (a, token, signal) => {
    const page = await a.listStrays({ pageSize: 100, pageToken: token, removed }, { signal });
    return { items: page.strays, next: page.nextPageToken };
  }, [removed, overview.strays, overview.lastReconcile?.id, overview.lastReconcile?.phase]);
  return (
    <>
      <h1 tabIndex={-1}>Strays</h1>
      <p class="means">Objects that no media explains, as the last reconciliations saw them: {things(Number(overview.strays), "object")}, {bytes(overview.strayBytes)}. A reconciliation removes them as its policy says, after the grace period.</p>
      <div class="buttons"><Choice label="Which strays" value={shown} of={which} set={(v) => setShown(v)} /></div>
      <Failure error={strays.error} />
      {strays.asked && !strays.error && strays.items.length === 0 && <p class="muted">{removed ? "None was removed in the last 90 days." : "There are none."}</p>}
      {strays.items.length > 0 && (
        <Table caption="Strays, by key" heads={["Key", ...numbers("Size"), "Made", "First seen", removed ? "Removed" : "Last seen", "Notes"]}>
          {strays.items.map((s) => (
            <tr key={s.key + s.versionId}>
              <th scope="row" class="key">{s.key}</th><td class="n">{bytes(s.sizeBytes)}</td>
              <td><When at={s.lastModified} /></td><td><When at={s.firstSeenAt} /></td><td><When at={removed ? s.removedAt : s.lastSeenAt} /></td>
              <td class="wide">{!s.ours && "Not a key that coatcheck makes: never removed. "}{s.removedTo && `Moved to ${s.removedTo}. `}{s.lastError && <span class="bad">{s.lastError}</span>}</td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={strays} what="strays" />
    </>
  );
}
