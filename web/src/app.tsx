/* The frame around the pages: menu, languages, and which page the URL names. */

import type { ComponentType, JSX } from "preact";
import { useEffect, useReducer, useState } from "preact/hooks";
import icon from "./icon.svg";
import { follow, home, usePlace } from "./base/place";
import { ask, openAddress, type Flags } from "./base/server";
import { chooseLanguage, language, LANGUAGES, languageTag, t, type Language, type Word } from "./base/words";
import { FleetPage } from "./pages/fleet";
import { Rich, Waiting } from "./parts/words";

interface Page {
  readonly path: string;
  readonly words: Word;
  readonly inMenu: boolean;
  /** A page that most visits do not see is loaded when it is first asked for. */
  readonly load: () => Promise<ComponentType>;
}

/* src/kpwatch/ui/pages.py has the same list of paths. */
export const PAGES: readonly Page[] = [
  { path: "", words: "fleet", inMenu: true, load: () => Promise.resolve(FleetPage) },
  { path: "node", words: "node", inMenu: false, load: async () => (await import("./pages/node")).NodePage },
  { path: "slo", words: "slo", inMenu: true, load: async () => (await import("./pages/slo")).SloPage },
  { path: "table", words: "table", inMenu: true, load: async () => (await import("./pages/table")).TablePage },
  { path: "dictionary", words: "dictionary", inMenu: true, load: async () => (await import("./pages/dictionary")).DictionaryPage },
  { path: "alerts", words: "alerts", inMenu: true, load: async () => (await import("./pages/alerts")).AlertsPage },
  { path: "targets", words: "targets", inMenu: true, load: async () => (await import("./pages/targets")).TargetsPage },
  { path: "about", words: "about", inMenu: true, load: async () => (await import("./pages/about")).AboutPage },
];

const loaded = new Map<string, ComponentType>([["", FleetPage]]);

export function App(): JSX.Element {
  const { path } = usePlace();
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const openTo = useOpenAddress();
  const page = PAGES.find((each) => each.path === path) ?? null;
  const Content = loaded.get(path);

  useEffect(() => {
    document.addEventListener("click", follow);
    return () => document.removeEventListener("click", follow);
  }, []);
  useEffect(() => {
    if (!page || loaded.has(page.path)) return;
    void page.load().then((content) => {
      loaded.set(page.path, content);
      redraw(undefined as never);
    });
  }, [page]);
  useEffect(() => document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  document.documentElement.lang = languageTag();
  document.title = `${page ? t(page.words) : "404"} · ${t("title")}`;

  function speak(code: Language): void {
    chooseLanguage(code);
    redraw(undefined as never);
  }

  return (
    <>
      <a class="skip" href="#content">{t("skip")}</a>
      <header class="top">
        <a class="brand" href={home.href}><img src={icon} alt="" width="24" height="24" />kpwatch</a>
        <nav aria-label={t("menu")}>
          {PAGES.filter((each) => each.inMenu).map((each) => (
            <a key={each.path} href={new URL(each.path, home).href} aria-current={each === page ? "page" : undefined}>{t(each.words)}</a>
          ))}
        </nav>
        <div class="languages" role="group" aria-label={t("language")}>
          {LANGUAGES.map((each) => (
            <button key={each.code} type="button" lang={each.tag} aria-pressed={each.code === language()} onClick={() => speak(each.code)}>
              {each.name}
            </button>
          ))}
        </div>
      </header>
      {openTo !== null && <p class="warned" role="note"><Rich text={t("open_to_all", { address: openTo })} /></p>}
      <main id="content" tabIndex={-1}>
        {page === null ? <NoPage path={path} /> : Content ? <Content key={path} /> : <Waiting />}
      </main>
    </>
  );
}

function NoPage({ path }: { path: string }): JSX.Element {
  return <p class="nothing">{t("not_found", { path: `/${path}` })} <a href={home.href}>{t("to_fleet")}</a></p>;
}

/** The address, if the hub asks nobody who they are. */
function useOpenAddress(): string | null {
  const [address, tell] = useState<string | null>(null);
  useEffect(() => {
    ask<{ data: Flags }>("api/v1/status/flags").then(
      ({ data }) => tell(openAddress(data)),
      () => undefined, // a hub that does not answer is the pages' to tell
    );
  }, []);
  return address;
}
