// Sounds made here, so that there is nothing to load. A browser makes none before the first touch or key.

// [Hz, from s, for s, how loud], each a tone of its own.
const SOUNDS = {
  new: { wave: "sine", tones: [[880, 0, 0.14, 0.5], [1175, 0.15, 0.22, 0.5]] },
  late: { wave: "triangle", tones: [[660, 0, 0.16, 0.7], [660, 0.24, 0.16, 0.7], [660, 0.48, 0.3, 0.7]] },
  void: { wave: "square", tones: [[740, 0, 0.2, 0.35], [494, 0.22, 0.2, 0.35], [740, 0.44, 0.2, 0.35], [494, 0.66, 0.3, 0.35]] },
  lost: { wave: "triangle", tones: [[392, 0, 0.25, 0.5], [294, 0.28, 0.4, 0.5]] },
  unseen: { wave: "triangle", tones: [[523, 0, 0.12, 0.5], [523, 0.2, 0.12, 0.5]] },
};

export class Sound {
  #context = null;
  #last = new Map(); // name -> when it was made

  constructor({ muted = false, changed = () => {}, make = () => new AudioContext() } = {}) {
    this.muted = muted;
    this.changed = changed;
    this.make = make;
    this.made = []; // names of the last sounds that were asked for, heard or not
  }

  // "on", "off" or "locked".
  get state() {
    if (this.muted) return "off";
    return this.#context?.state === "running" ? "on" : "locked";
  }

  // To be called on a touch or a key.
  async unlock() {
    if (this.#context?.state === "running" || navigator.userActivation?.isActive === false) return;
    try {
      this.#context ??= this.make();
      this.#context.onstatechange = () => this.changed();
      await this.#context.resume();
    } catch {
      // No audio device: the display goes without.
    }
    this.changed();
  }

  mute(muted) {
    this.muted = muted;
    this.changed();
  }

  // Not more often than every `gap` ms: ten tickets at once are one chime.
  play(name, gap = 1000) {
    const now = performance.now();
    if (now - (this.#last.get(name) ?? -Infinity) < gap) return;
    this.#last.set(name, now);
    this.made = [...this.made, name].slice(-20);
    if (this.state !== "on") return;
    const { wave, tones } = SOUNDS[name];
    for (const tone of tones) this.#tone(wave, tone);
  }

  #tone(wave, [hertz, from, length, loud]) {
    const context = this.#context;
    const start = context.currentTime + 0.02 + from;
    const oscillator = new OscillatorNode(context, { type: wave, frequency: hertz });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(loud, start + 0.015);
    gain.gain.setValueAtTime(loud, start + length - 0.04);
    gain.gain.linearRampToValueAtTime(0, start + length);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + length);
  }
}
