/** The built page; `npm run build` comes first. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

import { expect, test } from "vitest";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const read = (path: string) => readFileSync(`${dist}${path}`);
const files: Record<string, string> = JSON.parse(read("files.json").toString());

test("what the first painting needs is less than 4.5 MB with brotli", () => {
  const needed = Object.keys(files).filter((path) => !/webgpu|asyncify|gpu-|style\.onnx|stylize\.onnx/.test(path));
  expect(needed).toContain("models/stylize.int8.onnx");
  const params = { [constants.BROTLI_PARAM_QUALITY]: 7 };
  const bytes = needed.reduce((sum, path) => sum + brotliCompressSync(read(path), { params }).length, 0);
  console.log(`the first painting needs ${(bytes / 1e6).toFixed(2)} MB with brotli`);
  expect(bytes).toBeLessThan(4.5e6);
});

test("the list of files has their checksums, and the service worker its version", () => {
  for (const [path, sha256] of Object.entries(files)) {
    expect(createHash("sha256").update(read(path)).digest("hex")).toBe(sha256);
  }
  expect(read("sw.js").toString()).not.toContain("__VERSION__");
});

test("the page names no foreign host, and its policy allows none", () => {
  const page = read("index.html").toString();
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/https?:/);
});
