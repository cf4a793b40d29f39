/* The agent on every node as one file for `kubectl apply`, made of deploy/kubernetes/agent, with the hub's address in it. */

import config from "../../../deploy/kubernetes/agent/config/config.toml?raw";
import inputs from "../../../deploy/kubernetes/agent/config/prometheus.toml?raw";
import daemonset from "../../../deploy/kubernetes/agent/daemonset.yaml?raw";
import namespace from "../../../deploy/kubernetes/agent/namespace.yaml?raw";
import account from "../../../deploy/kubernetes/agent/serviceaccount.yaml?raw";

const NAMESPACE = "kpwatch";
const ADDRESS = /^url = ".*"$/m;

/** Whole YAML documents; `writeUrl` is where agents write. */
export function manifest(writeUrl: string): string {
  const parts = [
    namespace,
    placed(account),
    configMap("kpwatch-agent", "config.toml", config.replace(ADDRESS, () => `url = ${JSON.stringify(writeUrl)}`)),
    configMap("kpwatch-agent-prometheus", "prometheus.toml", inputs),
    placed(daemonset),
  ];
  return parts.map((part) => part.trimEnd()).join("\n---\n") + "\n";
}

/** An object of ours in its namespace, which kustomize would write. */
const placed = (yaml: string): string => yaml.replace(/^metadata:\n {2}name: .*$/m, (found) => `${found}\n  namespace: ${NAMESPACE}`);

function configMap(name: string, file: string, text: string): string {
  const lines = text.trimEnd().split("\n").map((line) => (line ? `    ${line}` : ""));
  return ["apiVersion: v1", "kind: ConfigMap", "metadata:", `  name: ${name}`, `  namespace: ${NAMESPACE}`, "data:", `  ${file}: |`, ...lines].join("\n");
}
