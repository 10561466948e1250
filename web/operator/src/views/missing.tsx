import { bytes } from "../format.js";
import { stateName } from "../words.js";
import { usePages, useWindow } from "../parts/hooks.js";
import { Failure, More, numbers, Table, When } from "../parts/parts.js";

/** MissingView is the media whose object is gone. */
export function MissingView() {
  const { overview } = useWindow();
  const missing = usePages(async (a, token, signal) => {
    const page = await a.listMissing({ pageSize: 100, pageToken: token }, { signal });
    return { items: page.missing, next: page.nextPageToken };
  }, [overview.missing, overview.lastReconcile?.id, overview.lastReconcile?.phase]);
  return (
    <>
      <h1 tabIndex={-1}>Missing</h1>
      <p class="means">Media that have landed and are wanted, and whose object S3 did not have when a reconciliation looked last. Something else deletes in the bucket: look in its access log, and bring the objects back under their keys.</p>
      <Failure error={missing.error} />
      {missing.asked && !missing.error && missing.items.length === 0 && <p class="muted">There are none.</p>}
      {missing.items.length > 0 && (
        <Table caption="Missing media, by creation" heads={["Media", "Tenant", "State", "Claim", ...numbers("Size"), "First missed", "Last missed"]}>
          {missing.items.map(({ media: m, tenant, firstSeenAt, lastSeenAt }) => m && (
            <tr key={m.id}>
              <th scope="row" class="key"><a href={`#/search?${new URLSearchParams({ q: m.id })}`}>{m.id}</a><br /><small class="muted">{m.key}</small></th>
              <td>{tenant}</td><td>{stateName[m.state]}</td><td>{m.claim || "–"}</td><td class="n">{bytes(m.sizeBytes)}</td>
              <td><When at={firstSeenAt} /></td><td><When at={lastSeenAt} /></td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={missing} what="missing media" />
    </>
  );
}
