/** Keys, swipes and dropped files. */

import { $ } from "./dom";
import { type Action, actionOf, keyOf, KEYMAP, labelOf } from "./keys";

const SWIPE_PIXELS = 50;

/** Run the actions of keys, except where a key is for the element that has the focus. */
export function listenToKeys(run: (action: Action, key: string) => void): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const action = actionOf(event);
    if (!action || target.matches("select, input:not([type=range], [type=checkbox])")) return;
    const forStyles = target === document.body || $("viewer").contains(target) || $("strip").contains(target);
    if (event.key.startsWith("Arrow") && !forStyles) return;
    event.preventDefault();
    run(action, keyOf(event));
  });
  for (const { keys, help } of KEYMAP) {
    const term = document.createElement("dt");
    term.textContent = labelOf(keys);
    const what = document.createElement("dd");
    what.textContent = help;
    $("keys").append(term, what);
  }
}

/** Tell of swipes over an element: 1 to the left, as to a next page, and -1 to the right. */
export function listenToSwipes(on: HTMLElement, swiped: (direction: 1 | -1) => void): void {
  let begun: number | null = null;
  on.addEventListener("pointerdown", (event) => (begun = event.pointerType === "touch" ? event.clientX : null));
  on.addEventListener("pointercancel", () => (begun = null));
  on.addEventListener("pointerup", (event) => {
    const moved = begun === null ? 0 : event.clientX - begun;
    begun = null;
    if (Math.abs(moved) > SWIPE_PIXELS) swiped(moved < 0 ? 1 : -1);
  });
}

/** Take files that are dropped on elements; elsewhere a drop does not leave the page. */
export function listenToDrops(takes: Record<string, (file: File) => void>): void {
  for (const [id, take] of Object.entries(takes)) {
    const element = $(id);
    element.addEventListener("dragover", () => element.classList.add("over"));
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      element.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (file) take(file);
    });
  }
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
}

/** Take a file that is chosen by a button. */
export function listenToPicker(opener: string, picker: string, take: (file: File) => void): void {
  const files = $<HTMLInputElement>(picker);
  $(opener).onclick = () => files.click();
  files.onchange = () => {
    const file = files.files?.[0];
    // The same file may be chosen again.
    files.value = "";
    if (file) take(file);
  };
}
