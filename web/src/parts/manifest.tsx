/* The agent for every node of a cluster: a manifest that names this hub, to take along or to look at first. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { DOWNLOADS, downloadUrl, writeUrl } from "../base/downloads";
import { useLive } from "../base/live";
import { askText } from "../base/server";
import { t } from "../base/words";
import { Copyable } from "./copyable";
import { Problem, Rich, Waiting } from "./words";

export function Manifest(): JSX.Element {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <p class="meaning"><Rich text={t("agents_in_cluster_lead", { url: writeUrl() })} /></p>
      <p><a class="primary" href={downloadUrl("agent", { url: writeUrl() })} download="kpwatch-agent.yaml">{t("download_manifest")}</a></p>
      <details class="promql" onToggle={(event) => setOpened(opened || event.currentTarget.open)}>
        <summary>{t("show")}</summary>
        {opened && <ManifestText />}
      </details>
    </>
  );
}

/** Asked for when somebody opens it. */
function ManifestText(): JSX.Element {
  const known = useLive("manifest", (signal) => askText(`${DOWNLOADS}/agent`, { url: writeUrl() }, signal), null);
  if (known.error) return <Problem error={known.error} again={known.again} />;
  return known.shown ? <Copyable lines={known.shown} /> : <Waiting />;
}
