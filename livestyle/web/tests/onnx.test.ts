import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { type ExternalTensor, withExternalTensors } from "../src/onnx";

const model = readFileSync(fileURLToPath(new URL("../../../weights/lite/stylize.int8.constant.onnx", import.meta.url)));

test("each external tensor is asked for once, and none is external afterwards", () => {
  const asked: ExternalTensor[] = [];
  const whole = withExternalTensors(model, (tensor) => {
    asked.push(tensor);
    return Uint8Array.of(1, 2, 3, 4);
  });
  expect(new Set(asked.map(({ name }) => name)).size).toBe(35);
  expect(asked[0].entries.location).toBe("given-to-the-session");
  const again = withExternalTensors(whole, () => {
    throw new Error("still external");
  });
  expect(Buffer.from(again).equals(Buffer.from(whole))).toBe(true);
});

test.each([
  ["cut off", Uint8Array.of(0x3a, 0x85)],
  ["damaged", Uint8Array.of(0x3b, 0x00)],
])("a model file that is %s is said to be so", (words, bytes) => {
  expect(() => withExternalTensors(bytes, () => new Uint8Array())).toThrow(words);
});
