/* What opens under a button: it closes with Escape, with a click elsewhere and when something in it was chosen. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** `children` come when it is first opened. */
export function Menu({ title, end, children }: { title: string; end?: boolean; children: ComponentChildren }): JSX.Element {
  const menu = useRef<HTMLDetailsElement>(null);
  const [opened, setOpened] = useState(false);
  const close = (): void => { if (menu.current) menu.current.open = false; };
  useEffect(() => {
    const elsewhere = (event: MouseEvent): void => { if (!menu.current?.contains(event.target as Node)) close(); };
    document.addEventListener("click", elsewhere);
    return () => document.removeEventListener("click", elsewhere);
  }, []);
  return (
    <details
      class={end ? "menu end" : "menu"} ref={menu} onToggle={() => setOpened(true)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        close();
        menu.current?.querySelector("summary")?.focus();
      }}
    >
      <summary>{title}</summary>
      {opened && <div class="choices" onClick={(event) => { if ((event.target as Element).closest("button")) close(); }}>{children}</div>}
    </details>
  );
}
