/* Answers that stay fresh: asked again and again while somebody looks, one at a time, kept from page to page. */

import { useEffect, useReducer, useRef } from "preact/hooks";

export interface Known<Answer> {
  readonly answer: Answer | null;
  /** The answer, or while there is none yet the one to this component's question before. */
  readonly shown: Answer | null;
  readonly error: Error | null;
  /** When the answer came, by performance.now(). */
  readonly receivedMs: number | null;
  readonly waiting: boolean;
  readonly again: () => void;
}

interface Kept { answer: unknown; receivedMs: number }

const MOST_KEPT = 60;
const kept = new Map<string, Kept>();

/** What is known of `key` from before, for a first drawing without a wait. */
export function keep(key: string, answer: unknown): void {
  kept.delete(key);
  kept.set(key, { answer, receivedMs: performance.now() });
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(oldest);
  }
}

/** The newest answer to the question `key`, which `ask` gets; every `seconds` while the page is seen, null = once.
 * A key of null asks nothing. Another key forgets the former answer. */
export function useLive<Answer>(
  key: string | null, ask: (signal: AbortSignal) => Promise<Answer>, seconds: number | null,
): Known<Answer> {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const asking = useRef(ask);
  asking.current = ask;
  const state = useRef<{ key: string | null; error: Error | null; waiting: boolean; again: () => void }>({
    key: null, error: null, waiting: false, again: () => undefined,
  });
  if (state.current.key !== key) state.current = { key, error: null, waiting: key !== null, again: () => undefined };

  useEffect(() => {
    if (key === null) return undefined;
    const gone = new AbortController();
    const mine = state.current;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running = false;

    async function beat(): Promise<void> {
      if (running || gone.signal.aborted) return;
      clearTimeout(timer);
      running = true;
      mine.waiting = true;
      try {
        const answer = await asking.current(gone.signal);
        if (gone.signal.aborted) return;
        keep(key as string, answer);
        mine.error = null;
      } catch (error) {
        if (gone.signal.aborted) return;
        mine.error = error as Error;
      } finally {
        running = false;
        mine.waiting = false;
      }
      redraw(undefined as never);
      if (seconds !== null && !document.hidden) timer = setTimeout(() => void beat(), seconds * 1000);
    }

    function look(): void {
      if (document.hidden) clearTimeout(timer);
      else if (seconds !== null) void beat();
    }

    mine.again = () => { void beat(); redraw(undefined as never); };
    document.addEventListener("visibilitychange", look);
    void beat();
    return () => {
      gone.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [key, seconds]);

  const found = key === null ? undefined : kept.get(key);
  const former = useRef<Kept | undefined>(undefined);
  if (found || key === null) former.current = found;
  return {
    answer: (found?.answer as Answer | undefined) ?? null,
    shown: (former.current?.answer as Answer | undefined) ?? null,
    error: state.current.error,
    receivedMs: former.current?.receivedMs ?? null,
    waiting: state.current.waiting,
    again: state.current.again,
  };
}

/** A new drawing every `seconds`: for ages that tick. */
export function useTick(seconds: number): void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || redraw(undefined as never), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}
