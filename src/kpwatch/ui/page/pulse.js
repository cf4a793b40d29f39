/* Doing something again and again, one at a time, and not while nobody looks. */

/** Run the async `work` now and `seconds` after each end. Pauses while the page is hidden. */
export function every(seconds, work) {
  let timer = null;
  let running = false;
  let stopped = false;

  async function beat() {
    if (running || stopped) return;
    clearTimeout(timer);
    running = true;
    try {
      await work();
    } finally {
      running = false;
      if (!stopped && !document.hidden) timer = setTimeout(beat, seconds * 1000);
    }
  }

  function wake() {
    if (document.hidden) clearTimeout(timer);
    else beat();
  }

  document.addEventListener("visibilitychange", wake);
  beat();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
    },
  };
}
