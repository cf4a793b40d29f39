/* What metric names exist and what they mean: for completion and for the line under the query. The table view works
 * without either, so what cannot be had stays empty. */

import { ask } from "./server.js";
import { language } from "./strings.js";

const SUFFIX = /_(bucket|count|sum)$/; // a histogram's series carry their family's meaning

export class Knowledge {
  constructor() {
    this.names = [];
    this.meanings = new Map();
  }

  async learn() {
    const [names, dictionary] = await Promise.allSettled([
      ask("api/v1/label/__name__/values"), ask("api/kpwatch/v1/dictionary"),
    ]);
    if (names.status === "fulfilled") this.names = names.value.data;
    if (dictionary.status === "fulfilled") this.meanings = new Map(dictionary.value.metrics.map((row) => [row.name, row]));
  }

  knows(name) {
    return this.meanings.has(name) || this.meanings.has(name.replace(SUFFIX, ""));
  }

  /** A few words about a metric in the chosen language, or "". */
  meaning(name) {
    const row = this.meanings.get(name) ?? this.meanings.get(name.replace(SUFFIX, ""));
    return row?.meaning?.[language().code] ?? "";
  }
}
