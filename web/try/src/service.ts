import { createClient as connect } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createClient } from "@coatcheck/client";
import { MediaService, UploadService } from "@coatcheck/client/proto";
import { logged } from "./calls.js";

// The page's own stream lasts longer than that of the client, which waits for a landing only, so the client's is not shown.
export const client = createClient({ baseUrl: location.origin, fetch: logged("WatchUpload") });

const transport = createConnectTransport({ baseUrl: location.origin, fetch: logged() });
export const uploads = connect(UploadService, transport);
/** backend is what a page has in dev only. */
export const backend = connect(MediaService, transport);
