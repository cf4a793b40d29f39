/* RFC 4180: CRLF after every record, fields quoted where they hold a comma, a quote or a line break. */

export function csv(records: readonly (readonly unknown[])[]): string {
  return records.map((record) => `${record.map(field).join(",")}\r\n`).join("");
}

function field(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hand the text to the person as a file. */
export function download(name: string, text: string, type = "text/csv"): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
