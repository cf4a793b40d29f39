import { expect, test } from "vitest";
import { csv } from "../src/base/csv";

test.each([
  [[], ""],
  [[["a", "b"]], "a,b\r\n"],
  [[["a,b", 'say "x"', "two\nlines", "\r"]], '"a,b","say ""x""","two\nlines","\r"\r\n'],
  [[["1.6679718066295934e+09", null, 0, "规则 "]], "1.6679718066295934e+09,,0,规则 \r\n"],
])("CRLF after every record, quotes where RFC 4180 wants them: %j", (records, text) => expect(csv(records)).toBe(text));
