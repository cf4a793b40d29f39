/* The few things of a browser that modules look at when they are loaded. What draws is tested in a real one. */

const place = "http://hub.example:19000/kp/";
const nothing = (): void => undefined;

const browser: Record<string, unknown> = {
  document: { baseURI: place, addEventListener: nothing, removeEventListener: nothing, hidden: false },
  location: new URL(place),
  window: { addEventListener: nothing },
};

for (const [name, value] of Object.entries(browser)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
Object.defineProperty(globalThis, "navigator", { value: { language: "en-US" }, configurable: true });
