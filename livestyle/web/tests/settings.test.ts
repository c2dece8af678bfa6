import { expect, test } from "vitest";

import { actionOf, KEYMAP } from "../src/keys";
import { fileName } from "../src/saving";
import { DEFAULTS, readHash, steppedStroke, steppedTenth, writeHash } from "../src/settings";
import { between, Crossfade, styleSize } from "../src/styles";

const PRESETS = ["starry-night", "scream"];

test("a link holds the settings", () => {
  const settings = {
    ...DEFAULTS, style: "scream", mix: "starry-night", share: 0.7, strength: 0.4, stroke: 3, sharpness: 0.75, color: "content" as const, fade: 0,
    mirror: true, split: true, stabilise: false, exact: true,
  };
  expect(readHash(writeHash(settings, PRESETS), PRESETS)).toEqual(settings);
  expect(writeHash(DEFAULTS, PRESETS)).toBe("");
});

test.each([
  "#style=nobody", "#strength=2", "#strength=-1", "#strength=many", "#strength=", "#stroke=0", "#stroke=Infinity",
  "#mirror=yes", "#nothing=1", "#%", "#style=__proto__", "#fade=NaN",
])("what a link has wrong is as without it: %s", (hash) => {
  expect(readHash(hash, PRESETS)).toEqual(DEFAULTS);
});

test("a picture of the visitor is not part of a link", () => {
  expect(writeHash({ ...DEFAULTS, style: "my holiday", mix: "secret" }, PRESETS)).toBe("");
});

test("keys step through values and stop at the ends", () => {
  expect([steppedStroke(1, -1), steppedStroke(1, 1), steppedStroke(2.5, 1), steppedStroke(4, 1)]).toEqual([1, 1.5, 3, 4]);
  expect([steppedTenth(0.1, 1), steppedTenth(1, 1), steppedTenth(0, -1), steppedTenth(0.3, -1)]).toEqual([0.2, 1, 0, 0.2]);
});

test("each key does one thing, and the browser's own keys are left to it", () => {
  const keys = KEYMAP.flatMap((row) => row.keys);
  expect(new Set(keys).size).toBe(keys.length);
  const plain = { code: "", ctrlKey: false, altKey: false, metaKey: false };
  expect(actionOf({ ...plain, key: "M" })).toBe("mirror");
  expect(actionOf({ ...plain, key: "s", ctrlKey: true })).toBeUndefined();
  expect(actionOf({ ...plain, key: "Enter" })).toBeUndefined();
  // The key of an M on a Russian keyboard.
  expect(actionOf({ ...plain, key: "\u044c", code: "KeyM" })).toBe("mirror");
});

test("a crossfade goes from style to style, from where it is when another is chosen", () => {
  const [a, b, c] = [0, 1, 3].map((value) => Float32Array.of(value));
  const fade = new Crossfade();
  expect(fade.at(a, 2, 0)).toBe(a);
  expect(fade.at(b, 2, 1)[0]).toBe(0);
  expect(fade.at(b, 2, 2)[0]).toBeCloseTo(0.5);
  expect(fade.at(c, 2, 2)[0]).toBeCloseTo(0.5);
  expect(fade.at(c, 2, 3)[0]).toBeCloseTo(1.75);
  expect(fade.at(c, 2, 4)).toBe(c);
  expect(fade.at(a, 0, 5)).toBe(a);
  expect(between(a, c, 0.25)[0]).toBeCloseTo(0.75);
});

test("a style picture is encoded with a short side of 512 pixels, and the middle of a long one", () => {
  expect(styleSize(1024, 768)).toEqual({ crop: { left: 0, top: 0, width: 1024, height: 768 }, width: 683, height: 512 });
  expect(styleSize(3000, 100)).toEqual({ crop: { left: 1400, top: 0, width: 200, height: 100 }, width: 1024, height: 512 });
});

test("files are named by the time", () => {
  expect(fileName("png", new Date(2026, 0, 2, 3, 4, 5))).toBe("livestyle-2026-01-02-030405.png");
});
