/* Lines to take along. */

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { t, type Word } from "../base/words";

export function Copyable({ lines }: { lines: string }): JSX.Element {
  const code = useRef<HTMLElement>(null);
  const [word, say] = useState<Word>("copy");

  /** The clipboard exists on secure origins only; elsewhere the lines are selected for the person's own Ctrl+C. */
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(lines);
      say("copied");
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
      say("select_to_copy");
    }
  }

  return (
    <div class="copyable">
      <pre tabIndex={0}><code ref={code}>{lines}</code></pre>
      <button type="button" onClick={() => void copy()}>{t(word)}</button>
    </div>
  );
}
