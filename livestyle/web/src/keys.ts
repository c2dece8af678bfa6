/** The keys of the live program that make sense here; Ctrl, Alt and Meta with them are the browser's. */

export type Action =
  | "style" | "next" | "previous" | "cycle" | "plain" | "stronger" | "weaker" | "broader" | "finer" | "sharper" | "softer"
  | "moreMixed" | "moreStyle" | "fade" | "color" | "stabilise" | "mirror" | "split" | "snapshot" | "record"
  | "fullScreen" | "link" | "figures";

export const KEYMAP: readonly { keys: readonly string[]; action: Action; help: string }[] = [
  { keys: [..."123456789"], action: "style", help: "choose a style by its number" },
  { keys: ["n", "ArrowRight"], action: "next", help: "next style" },
  { keys: ["p", "ArrowLeft"], action: "previous", help: "previous style" },
  { keys: ["a"], action: "cycle", help: "go through all styles by itself, and stop" },
  { keys: ["0"], action: "plain", help: "plain picture, and back" },
  { keys: ["+", "="], action: "stronger", help: "stronger by 0.1" },
  { keys: ["-"], action: "weaker", help: "weaker by 0.1" },
  { keys: ["."], action: "broader", help: "broader strokes" },
  { keys: [","], action: "finer", help: "finer strokes" },
  { keys: ["k"], action: "sharper", help: "sharper" },
  { keys: ["j"], action: "softer", help: "softer" },
  { keys: ["["], action: "moreMixed", help: "mix: more of the second style" },
  { keys: ["]"], action: "moreStyle", help: "mix: more of the style" },
  { keys: ["x"], action: "fade", help: "crossfade between styles, on and off" },
  { keys: ["c"], action: "color", help: "colours: style, source, matched" },
  { keys: ["t"], action: "stabilise", help: "stabiliser, on and off" },
  { keys: ["m"], action: "mirror", help: "mirror" },
  { keys: ["v"], action: "split", help: "source and painting side by side" },
  { keys: ["s"], action: "snapshot", help: "snapshot: save the picture as PNG" },
  { keys: ["r"], action: "record", help: "record, and stop" },
  { keys: ["f"], action: "fullScreen", help: "full screen, and back" },
  { keys: ["w"], action: "link", help: "copy a link that holds these settings" },
  { keys: ["h"], action: "figures", help: "help and figures, on and off" },
];

const ACTIONS = new Map(KEYMAP.flatMap(({ keys, action }) => keys.map((key) => [key, action] as const)));

/** The key of an event as the table has it; of another alphabet, that of its place on the keyboard. */
export function keyOf({ key, code }: Pick<KeyboardEvent, "key" | "code">): string {
  if (key.length > 1) return key;
  return key > "~" && /^Key[A-Z]$/.test(code) ? code[3].toLowerCase() : key.toLowerCase();
}

export function actionOf(event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "altKey" | "metaKey">): Action | undefined {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
  return ACTIONS.get(keyOf(event));
}

/** Keys as the list shows them. */
export function labelOf(keys: readonly string[]): string {
  const shown = keys.map((key) => ({ ArrowRight: "\u2192", ArrowLeft: "\u2190" })[key] ?? key);
  return shown.length > 2 ? `${shown[0]}-${shown.at(-1)}` : shown.join(" ");
}
