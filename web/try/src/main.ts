import { ConnectError } from "@connectrpc/connect";
import { UploadError } from "@coatcheck/client";
import { MediaState, type Media } from "@coatcheck/client/proto";
import { put } from "./calls.js";
import { Card, type Actions } from "./card.js";
import { mostCoats, save, saved, type Coat, type Way } from "./coat.js";
import { byId, say, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { chosenFiles } from "./files.js";
import { backend, client, uploads } from "./service.js";
import { going } from "./words.js";

const coats = new Map<Coat, Card>(); // the oldest first
const list = byId("cards");

const feed = new Feed(
  (media) => {
    for (const coat of coats.keys()) if (coat.id === media.id) change(coat, media);
  },
  (id) => {
    for (const coat of [...coats.keys()]) if (coat.id === id) remove(coat);
  },
  (reached) => setText(byId("trouble"), reached ? "" : "The service does not answer. This page goes on when it does."),
);

/** change notes what the service says of a coat. States only go on, so what is behind is an answer that came late. */
function change(coat: Coat, media: Media): void {
  if (coat.media && media.state < coat.media.state) return;
  if (media.state !== coat.media?.state) delete coat.error;
  coat.media = media;
  if (media.state === MediaState.DELETED) feed.remove(media.id);
  if (media.state >= MediaState.UPLOADED && coat.phase === "waiting") delete coat.phase;
  refresh(coat);
}

function refresh(coat: Coat): void {
  coats.get(coat)?.update();
  byId("clear").hidden = ![...coats.keys()].some(gone);
}

const gone = (c: Coat) => (c.media ? going(c.media) : !!c.error) && !c.stop;

function add(coat: Coat): void {
  const card = new Card(coat, actions);
  coats.set(coat, card);
  list.prepend(card.element);
  byId("empty").hidden = true;
  if (coats.size > mostCoats) remove(coats.keys().next().value!);
}

function remove(coat: Coat): void {
  coats.get(coat)?.element.remove();
  coats.delete(coat);
  if (coat.id) feed.remove(coat.id);
  byId("empty").hidden = coats.size > 0;
  byId("clear").hidden = ![...coats.keys()].some(gone);
  save([...coats.keys()]);
}

/** ticketed notes the id of a coat's media, and watches it. */
function ticketed(coat: Coat, id: string): void {
  if (coat.id) return;
  coat.id = id;
  save([...coats.keys()]);
  feed.add(id);
}

/** handIn does with a file what the user has chosen. */
async function handIn(file: File, way: Way): Promise<void> {
  const stop = new AbortController();
  const coat: Coat = { name: file.name, size: file.size, type: file.type, way, loaded: 0, phase: "queued", stop };
  add(coat);
  try {
    if (way === "walk") {
      coat.phase = "hashing";
      refresh(coat);
      const { media } = await client.create(file, { signal: stop.signal });
      ticketed(coat, media!.id);
      change(coat, media!);
      return; // and nothing more
    }
    const media = await upload(file, coat, stop);
    change(coat, media);
    if (way === "claim") {
      await savePost(stop.signal);
      await claim(coat);
    }
  } catch (error) {
    if (!stop.signal.aborted) fail(coat, error);
    else if (!coat.id) remove(coat);
  } finally {
    delete coat.phase;
    delete coat.stop;
    refresh(coat);
  }
}

async function upload(file: File, coat: Coat, stop: AbortController): Promise<Media> {
  let call: ReturnType<typeof put> | undefined;
  try {
    return await client.upload(file, {
      signal: stop.signal,
      onProgress: ({ phase, loaded, mediaId }) => {
        if (phase === "uploading" && coat.phase !== "uploading") {
          ticketed(coat, mediaId!);
          coat.sendingAt = Date.now();
          call = put(file.size);
        }
        if (phase === "creating") call?.end("failed, and is tried again", false);
        if (phase === "waiting") {
          coat.sentAt = Date.now();
          call?.end("done", true);
          call = undefined;
          save([...coats.keys()]);
        }
        [coat.phase, coat.loaded] = [phase, loaded];
        refresh(coat);
      },
    });
  } finally {
    delete coat.phase;
    call?.end(stop.signal.aborted ? "cancelled" : "failed", false);
  }
}

/** savePost stands for what a backend does before it claims; it is here so that one sees UPLOADED. */
const savePost = (signal: AbortSignal) => new Promise<void>((done, stopped) => {
  setTimeout(done, 1500);
  signal.addEventListener("abort", () => stopped(signal.reason));
});

async function claim(coat: Coat): Promise<void> {
  coat.claim ??= `try/${coat.id!.slice(-4)}`;
  const { media } = await backend.confirmMedia({ mediaId: coat.id!, claim: coat.claim });
  save([...coats.keys()]);
  change(coat, media!);
}

function fail(coat: Coat, error: unknown): void {
  if (coat.id && error instanceof UploadError && error.code === "gone") return; // its state says why
  coat.error = sentence(error instanceof UploadError ? error.message : ConnectError.from(error).rawMessage);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
}

/** press runs what a button does, and shows on the card why it does not work. */
async function press(coat: Coat, what: () => Promise<unknown>): Promise<void> {
  delete coat.error;
  try {
    await what();
  } catch (error) {
    fail(coat, error);
  }
  refresh(coat);
}

const actions: Actions = {
  claim: (coat) => void press(coat, () => claim(coat)),
  release: (coat) => void press(coat, async () => {
    const { media } = await backend.releaseMedia({ mediaId: coat.id!, claim: coat.media!.claim });
    change(coat, media!);
  }),
  download: (coat) => void press(coat, async () => {
    const { request } = await backend.createDownload({ mediaId: coat.id! });
    location.assign(request!.url); // it is an attachment, so the page stays
  }),
  cancel: (coat) => {
    if (coat.stop) coat.stop.abort();
    if (!coat.stop || coat.media?.state === MediaState.UPLOADED) {
      void press(coat, async () => change(coat, (await uploads.cancelUpload({ mediaId: coat.id! })).media!));
    }
  },
  remove,
};

for (const b of document.querySelectorAll<HTMLButtonElement>(".way")) {
  b.addEventListener("click", () => {
    const files = chosenFiles();
    say(`${files.length === 1 ? files[0]!.name : `${files.length} files`}: ${b.querySelector("strong")!.textContent}.`);
    for (const file of files) void handIn(file, b.dataset["way"] as Way);
  });
}
byId("clear").addEventListener("click", () => {
  for (const coat of [...coats.keys()]) if (gone(coat)) remove(coat);
  byId("rack-title").focus();
});

for (const coat of saved()) add(coat);
feed.add(...[...coats.keys()].map((c) => c.id!));
setInterval(() => coats.forEach((card) => card.tick()), 250);
