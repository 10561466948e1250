import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { AdminService, OverviewSchema } from "@coatcheck/client/proto";
import { follow, type News } from "../src/live.js";

const soon = { firstMs: 100, silenceMs: 100, pollMs: 5, streamAgainMs: 10_000 };
const overview = (missing: bigint) => ({ overview: create(OverviewSchema, { missing }) });

/** until follows a scripted service until enough was told. */
async function until(service: Partial<ServiceImpl<typeof AdminService>>, enough: (told: News[]) => boolean, patience = soon): Promise<News[]> {
  const admin = createClient(AdminService, createRouterTransport(({ service: add }) => { add(AdminService, service); }));
  const controller = new AbortController();
  const told: News[] = [];
  await follow(admin, (news) => {
    told.push(news);
    if (enough(told)) controller.abort();
  }, controller.signal, patience);
  return told;
}

const words = (told: News[]) => told.map((n) => (n.kind === "overview" ? `${n.live ? "live" : "polled"} ${n.overview.missing}` : n.kind));

test("each overview of the stream is told, and what only shows that it lives is not", async () => {
  const told = await until({ async *watchOverview() { yield overview(1n); yield {}; yield overview(2n); await new Promise(() => {}); } }, (t) => t.length === 2);
  expect(words(told)).toEqual(["live 1", "live 2"]);
});

test("a stream that ends is begun again", async () => {
  let streams = 0n;
  const told = await until({
    async *watchOverview() { yield overview(++streams); throw new ConnectError("stopping", Code.Unavailable); },
    getOverview: () => overview(10n),
  }, (t) => words(t).includes("live 2"));
  expect(words(told)).toEqual(["live 1", "lost", "polled 10", "live 2"]);
});

test("where there is no stream it asks again and again", async () => {
  let asked = 0n;
  const told = await until({
    async *watchOverview() { throw new ConnectError("no", Code.Unimplemented); },
    getOverview: () => overview(++asked),
  }, (t) => t.length === 3);
  expect(words(told)).toEqual(["polled 1", "polled 2", "polled 3"]);
});

test("a stream on which nothing comes is given up", async () => {
  const told = await until({
    async *watchOverview(_, { signal }) { await new Promise((_, stop) => signal.addEventListener("abort", () => stop(new Error("aborted")))); },
    getOverview: () => overview(1n),
  }, (t) => t.length === 1, { ...soon, firstMs: 20 });
  expect(words(told)).toEqual(["polled 1"]);
});

test("a service that does not answer is tried again", async () => {
  let asked = 0;
  const told = await until({
    async *watchOverview() { if (asked < 2) throw new ConnectError("down", Code.Unavailable); yield overview(7n); },
    getOverview: () => { asked++; throw new ConnectError("down", Code.Unavailable); },
  }, (t) => words(t).includes("live 7"));
  expect(words(told)).toEqual(["lost", "lost", "live 7"]);
});

test("who is refused is told so, once, and asks no more", async () => {
  for (const code of [Code.Unauthenticated, Code.PermissionDenied]) {
    const told = await until({ async *watchOverview() { throw new ConnectError("a token is needed", code); } }, () => false);
    expect(told).toEqual([{ kind: "refused", why: "a token is needed" }]);
  }
});
