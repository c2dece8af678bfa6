/** The elements of the page, and what is said to its visitor. */

export const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
export const button = (id: string) => $<HTMLButtonElement>(id);
export const input = (id: string) => $<HTMLInputElement>(id);
export const select = (id: string) => $<HTMLSelectElement>(id);
export const context = (canvas: HTMLCanvasElement) => canvas.getContext("2d")!;

/** One sentence under the painting, which screen readers read out. */
export function say(text: string, isError = false): void {
  $("message").textContent = text;
  $("message").classList.toggle("error", isError);
}

export const said = () => $("message").textContent ?? "";

export const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export const failed = (error: unknown) => say(wordsOf(error), true);

/** Seconds of a clock that only goes forward. */
export const now = () => performance.now() / 1000;
