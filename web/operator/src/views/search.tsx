import { MediaState } from "@coatcheck/client/proto";
import { useState } from "preact/hooks";
import type { Stray } from "@coatcheck/client/proto";
import { bytes, things } from "../format.js";
import { stateName } from "../words.js";
import { usePages } from "../parts/hooks.js";
import { Failure, More, numbers, Table, When } from "../parts/parts.js";
import { MediaLife } from "./media.js";

/** Search finds media by id, key or the beginning of a key. One is shown with its life. */
export function Search({ query }: { query: string }) {
  const [stray, setStray] = useState<Stray>();
  const found = usePages(async (a, token, signal) => {
    const page = await a.findMedia({ query, pageSize: 20, pageToken: token }, { signal });
    if (token === "") setStray(page.stray);
    return { items: page.media, next: page.nextPageToken };
  }, [query]);
  const [one] = found.items;
  const only = found.items.length === 1 && one && !found.more && !stray;
  return (
    <>
      <h1 tabIndex={-1}>{only ? "Media" : "Search"}</h1>
      <p class="means" role="status">{found.asked ? `${things(found.items.length, "media", "media")}${found.more ? " and more" : ""} found for` : "Looking for"} <code>{query}</code></p>
      <Failure error={found.error} />
      {stray && (
        <div class="card look"><h2>A stray has this key</h2>
          <p>An object of {bytes(stray.sizeBytes)} that no media explains; first seen <When at={stray.firstSeenAt} />, last <When at={stray.lastSeenAt} />.</p></div>
      )}
      {only && <MediaLife record={one} />}
      {!only && found.items.length > 0 && (
        <Table caption="Media found, newest first" heads={["Media", "State", "Tenant", ...numbers("Size"), "Created", "Claim"]}>
          {found.items.map(({ media: m, tenant }) => m && (
            <tr key={m.id}>
              <th scope="row" class="key"><a href={`#/search?${new URLSearchParams({ q: m.id })}`}>{m.id}</a><br /><small class="muted">{m.key}</small></th>
              <td><span class={`state s-${MediaState[m.state].toLowerCase()}`}>{stateName[m.state]}</span></td>
              <td>{tenant}</td><td class="n">{bytes(m.sizeBytes)}</td><td><When at={m.createdAt} /></td><td>{m.claim || "–"}</td>
            </tr>
          ))}
        </Table>
      )}
      <More pages={found} what="media" />
      {found.asked && !found.error && found.items.length === 0 && !stray && (
        <p>Search by a media's id, by its key, or by the beginning of a key. Media that were deleted are forgotten after a while.</p>
      )}
    </>
  );
}
