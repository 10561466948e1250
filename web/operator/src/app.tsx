import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Overview } from "@coatcheck/client/proto";
import type { Admin } from "./api.js";
import { follow } from "./live.js";
import { session } from "./session.js";
import { summary } from "./summary.js";
import { useRoute, WindowContext } from "./parts/hooks.js";
import { ThemeButton } from "./parts/theme.js";
import { SignIn } from "./views/sign-in.js";
import { DeadLetters } from "./views/dead-letters.js";
import { Home } from "./views/home.js";
import { MissingView } from "./views/missing.js";
import { ReconcileView } from "./views/reconcile.js";
import { Reconciles } from "./views/reconciles.js";
import { Search } from "./views/search.js";
import { Strays } from "./views/strays.js";
import { Sweeps } from "./views/sweeps.js";

const views = [
  { at: "/", name: "Overview" },
  { at: "/sweeps", name: "Sweeps" },
  { at: "/reconciliations", name: "Reconciliations" },
  { at: "/strays", name: "Strays" },
  { at: "/missing", name: "Missing" },
  { at: "/dead-letters", name: "Dead letters" },
] as const;

const announceMs = 20_000;

export function App({ admin }: { admin: Admin }) {
  const [overview, setOverview] = useState<Overview>();
  const [link, setLink] = useState({ state: "opening", why: "" });
  const [refusal, setRefusal] = useState<string>();
  const [said, setSaid] = useState("");
  const [turn, setTurn] = useState(0);
  const visible = useVisible();
  const route = useRoute();

  useEffect(() => {
    if (!visible || refusal !== undefined) return;
    const controller = new AbortController();
    void follow(admin, (news) => {
      if (controller.signal.aborted) return;
      if (news.kind === "refused") setRefusal(news.why);
      else if (news.kind === "lost") setLink({ state: "lost", why: news.why });
      else {
        setOverview(news.overview);
        setLink({ state: news.live ? "live" : "polling", why: "" });
      }
    }, controller.signal);
    return () => controller.abort();
  }, [admin, turn, visible, refusal === undefined]);

  useAnnounced(overview, setSaid);
  const refuse = useCallback((why: string) => setRefusal(why), []);
  const has = useMemo(() => (overview ? { admin, overview, refuse, announce: setSaid } : undefined), [admin, overview, refuse]);

  const signIn = (token: string) => {
    session.token = token;
    setLink({ state: "opening", why: "" });
    setRefusal(undefined);
    setTurn(turn + 1);
  };
  const signOut = () => {
    session.token = "";
    setOverview(undefined);
    setRefusal("");
  };

  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/">coatcheck</a>
        {has && refusal === undefined && <SearchBox />}
        <div class="tools">
          {refusal === undefined && <Link state={link.state} why={link.why} />}
          <ThemeButton />
          {session.token && refusal === undefined && <button type="button" class="quiet" onClick={signOut}>Sign out</button>}
        </div>
        {has && refusal === undefined && (
          <nav aria-label="Views">
            {views.map((v) => <a key={v.at} href={`#${v.at}`} aria-current={route === v.at ? "page" : undefined}>{v.name}</a>)}
          </nav>
        )}
      </header>
      <main id="main" class="page" tabIndex={-1}>
        {refusal !== undefined ? <SignIn why={refusal} tried={session.token !== ""} onToken={signIn} />
          : has ? <WindowContext.Provider value={has}><View route={route} /></WindowContext.Provider>
          : <Opening why={link.why} />}
      </main>
      <p class="sr" role="status">{said}</p>
    </>
  );
}

function Opening({ why }: { why: string }) {
  return (
    <>
      <h1>The operator's window</h1>
      {why ? <p class="failure" role="alert">{why} It is tried again and again.</p> : <p>Loading.</p>}
    </>
  );
}

function View({ route }: { route: string }) {
  const [path = "", query = ""] = route.split("?");
  const id = path.split("/")[2] ?? "";
  useHeading(route);
  if (path === "/") return <Home />;
  if (path === "/sweeps") return <Sweeps />;
  if (path === "/reconciliations") return <Reconciles />;
  if (path.startsWith("/reconciliations/")) return <ReconcileView id={id} key={id} />;
  if (path === "/strays") return <Strays />;
  if (path === "/missing") return <MissingView />;
  if (path === "/dead-letters") return <DeadLetters />;
  if (path === "/search") return <Search query={new URLSearchParams(query).get("q") ?? ""} key={query} />;
  return <><h1 tabIndex={-1}>No such view</h1><p><a href="#/">To the overview</a></p></>;
}

/** useHeading names the page for the view, and takes the keyboard there when the view has changed. */
function useHeading(route: string) {
  const first = useRef(true);
  useEffect(() => {
    const heading = document.querySelector<HTMLElement>("main h1");
    document.title = `${heading?.textContent ?? "The operator's window"} · coatcheck`;
    if (!first.current) {
      heading?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    first.current = false;
  }, [route]);
}

function SearchBox() {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (e: KeyboardEvent) => {
      const at = e.target as HTMLElement;
      if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
      e.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener("keydown", slash);
    return () => document.removeEventListener("keydown", slash);
  }, []);
  return (
    <form role="search" onSubmit={(e) => {
      e.preventDefault();
      const q = input.current?.value.trim();
      if (q) location.hash = `/search?${new URLSearchParams({ q })}`;
    }}>
      <label class="sr" for="search">Search media by id or key</label>
      <input id="search" ref={input} type="search" placeholder="Media by id or key" aria-keyshortcuts="/" autoComplete="off" spellcheck={false} autoCapitalize="none" minLength={3} maxLength={1024} />
      <kbd aria-hidden="true">/</kbd>
      <button type="submit">Search</button>
    </form>
  );
}

function Link({ state, why }: { state: string; why: string }) {
  const words: Record<string, string> = { opening: "Connecting", live: "Live", polling: "Every 5 s", lost: "No answer" };
  return <span class={`link-state ${state}`} title={why || undefined}><i aria-hidden="true" />{words[state]}</span>;
}

/** useVisible is whether somebody can see the page: one that nobody sees holds no stream. */
function useVisible(): boolean {
  const [visible, set] = useState(!document.hidden);
  useEffect(() => {
    const changed = () => set(!document.hidden);
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);
  return visible;
}

/** useAnnounced says the numbers to those who listen, when they have changed, and not more often than one can listen to. */
function useAnnounced(overview: Overview | undefined, say: (text: string) => void) {
  const last = useRef({ text: "", at: 0 });
  const text = overview ? summary(overview) : "";
  useEffect(() => {
    if (!text || text === last.current.text) return;
    const wait = last.current.at + announceMs - Date.now();
    const timer = setTimeout(() => {
      last.current = { text, at: Date.now() };
      say(text);
    }, Math.max(0, wait));
    return () => clearTimeout(timer);
  }, [text, say]);
}
