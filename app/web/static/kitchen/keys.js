// What a key means. Bump bars are keyboards; there is nothing that needs a pointer.

const digit = (key) => (/^[0-9]$/.test(key) ? (Number(key) + 9) % 10 : null); // 1 is the first, 0 the tenth

const ANYWHERE = {
  ArrowLeft: { do: "move", way: "left" },
  ArrowRight: { do: "move", way: "right" },
  ArrowUp: { do: "move", way: "up" },
  ArrowDown: { do: "move", way: "down" },
  Home: { do: "move", way: "first" },
  End: { do: "move", way: "last" },
  Enter: { do: "bump" },
  " ": { do: "bump" },
  u: { do: "undo" },
  r: { do: "recall" },
  v: { do: "acknowledge" },
  l: { do: "lines" },
  x: { do: "actions" },
  a: { do: "allDay" },
  f: { do: "filter" },
  "/": { do: "filter" },
  m: { do: "mute" },
  s: { do: "station" },
  "+": { do: "larger" },
  "=": { do: "larger" },
  "-": { do: "smaller" },
  "?": { do: "help" },
  Escape: { do: "leave" },
};

// What to do, like {do: "select", index: 0}; null: nothing, the browser may have it. `mode` is "board", "lines" (digits
// strike lines of the selected card) or "recall" (digits recall).
export function intent({ key, ctrlKey = false, altKey = false, metaKey = false, repeat = false }, mode = "board") {
  if (ctrlKey || altKey || metaKey) return null;
  const index = digit(key);
  if (index !== null) {
    if (repeat) return null;
    return { do: { board: "select", lines: "line", recall: "recallOne" }[mode], index };
  }
  const name = key.length === 1 ? key.toLowerCase() : key;
  const found = Object.hasOwn(ANYWHERE, name) ? ANYWHERE[name] : null;
  if (mode === "recall") return found && ["recall", "leave"].includes(found.do) ? { do: "leave" } : null;
  // A key that is held down moves on, and does nothing twice.
  if (repeat && found && found.do !== "move") return { do: "nothing" };
  if (mode === "lines" && found?.do === "lines") return { do: "leave" };
  return found;
}

// The digit of the n-th card, from 0; "" past the tenth.
export const digitOf = (index) => (index < 10 ? String((index + 1) % 10) : "");

// Where the selection goes from a box, among the boxes of all cards in order: an index. Boxes are {left, top, width, height}.
export function neighbour(boxes, from, way) {
  if (!boxes.length) return -1;
  if (way === "first" || from < 0) return 0;
  if (way === "last") return boxes.length - 1;
  if (way === "up") return Math.max(from - 1, 0);
  if (way === "down") return Math.min(from + 1, boxes.length - 1);
  const here = boxes[from];
  const middle = ({ top, height }) => top + height / 2;
  const beside = boxes
    .map((box, index) => ({ index, across: (box.left - here.left) * (way === "right" ? 1 : -1), off: Math.abs(middle(box) - middle(here)) }))
    .filter(({ across }) => across > here.width / 2);
  if (!beside.length) return way === "right" ? Math.min(from + 1, boxes.length - 1) : Math.max(from - 1, 0);
  const nearest = Math.min(...beside.map(({ across }) => across));
  return beside.filter(({ across }) => across < nearest + here.width / 2).sort((one, other) => one.off - other.off)[0].index;
}
