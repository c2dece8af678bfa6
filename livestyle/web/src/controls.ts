/** The settings, what shows them, and what changes them. */

import { $, button, input, select } from "./dom";
import { COLORS, readHash, type Settings, STROKES, writeHash } from "./settings";

/** What is on or off beside the settings. */
export interface Switches {
  plain: boolean;
  cycle: boolean;
  record: boolean;
  figures: boolean;
  hasSource: boolean;
}

/** Owner of the settings, which the address of the page holds too. */
export class Controls {
  settings: Settings = readHash("", []);
  private presets: readonly string[] = [];

  /**
   * @param changed - called after each change, with what has changed.
   * @param switches - what is on.
   */
  constructor(
    private readonly changed: (changes: Partial<Settings>) => void,
    private readonly switches: () => Switches,
  ) {
    for (const id of ["strength", "sharpness", "fade", "share"] as const) {
      input(id).oninput = () => this.change({ [id]: Number(input(id).value) });
    }
    input("stroke").oninput = () => this.change({ stroke: STROKES[Number(input("stroke").value)] });
    for (const id of ["stabilise", "exact"] as const) {
      input(id).onchange = () => this.change({ [id]: input(id).checked });
    }
    select("mix").onchange = () => this.change({ mix: select("mix").value });
    select("color").onchange = () => this.change({ color: COLORS.find((each) => each === select("color").value) });
    addEventListener("hashchange", () => this.read(this.presets));
  }

  /** Take the settings of the page's address. */
  read(presets: readonly string[]): void {
    this.presets = presets;
    const own = presets.includes(this.settings.style) ? {} : { style: this.settings.style };
    const found = readHash(location.hash, presets);
    // A picture of the visitor stays chosen where the address names no style.
    this.settings = location.hash.includes("style=") || !own.style || !$("strip").childElementCount ? found : { ...found, ...own };
    this.changed(this.settings);
    this.show();
  }

  change(changes: Partial<Settings>): void {
    this.settings = { ...this.settings, ...changes };
    history.replaceState(null, "", `${location.pathname}${location.search}${writeHash(this.settings, this.presets)}`);
    this.changed(changes);
    this.show();
  }

  show(): void {
    const { settings } = this;
    const { plain, cycle, record, figures, hasSource } = this.switches();
    const pressed = { plain, cycle, record, "show-figures": figures, mirror: settings.mirror, split: settings.split };
    for (const [id, value] of Object.entries(pressed)) button(id).setAttribute("aria-pressed", String(value));
    button("record").textContent = record ? "Stop recording" : "Record";
    for (const id of ["snapshot", "record"]) button(id).disabled = !hasSource;
    input("strength").value = String(settings.strength);
    input("stroke").value = String(Math.max(0, STROKES.findLastIndex((stroke) => stroke <= settings.stroke)));
    input("sharpness").value = String(settings.sharpness);
    input("fade").value = String(settings.fade);
    input("share").value = String(settings.share);
    input("share").disabled = !settings.mix;
    input("stabilise").checked = settings.stabilise;
    input("exact").checked = settings.exact;
    select("mix").value = settings.mix;
    select("color").value = settings.color;
    const words: Record<string, string> = {
      strength: settings.strength.toFixed(1),
      stroke: `${settings.stroke} times`,
      sharpness: String(settings.sharpness),
      fade: `${settings.fade.toFixed(1)} s`,
      share: settings.mix ? `${Math.round(100 * settings.share)} %` : "",
    };
    for (const [id, text] of Object.entries(words)) {
      $(`${id}-value`).textContent = text;
      if (text) input(id).setAttribute("aria-valuetext", text);
    }
  }
}
