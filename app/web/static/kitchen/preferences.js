// What this display is set to: how large, whether muted. Kept for the device, whoever works at it.

import { kept } from "../token.js";

const KEY = "kitchen.preferences";
const SIZES = [80, 90, 100, 115, 130, 150, 175]; // per cent

export class Preferences {
  muted = false;
  allDay = false;
  size = 100;

  constructor(storage = kept("localStorage")) {
    this.storage = storage;
    try {
      const { muted, allDay, size } = JSON.parse(storage.getItem(KEY)) || {};
      Object.assign(this, { muted: muted === true, allDay: allDay === true, size: SIZES.includes(size) ? size : 100 });
    } catch {
      // Nothing was kept, or what was cannot be read.
    }
  }

  set(changes) {
    Object.assign(this, changes);
    const { muted, allDay, size } = this;
    try {
      this.storage.setItem(KEY, JSON.stringify({ muted, allDay, size }));
    } catch {
      // A browser that keeps nothing.
    }
  }

  // One size up (1) or down (-1).
  resize(step) {
    const index = SIZES.indexOf(this.size) + step;
    this.set({ size: SIZES[Math.min(Math.max(index, 0), SIZES.length - 1)] });
  }
}
