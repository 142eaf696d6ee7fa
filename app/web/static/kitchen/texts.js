// Everything that the display says, in one place: to be read over a cook's shoulder, and to be translated.

const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;

export const texts = {
  title: (station, open) => `${open ? `(${open}) ` : ""}${station === "all" ? "All stations" : stationName(station)} – kitchen`,
  allStations: "All stations",
  chooseStation: "Which station is this?",
  chooseStationWhy: "It is kept in the address. It can be changed at the top left.",
  unknownStation: (station) => `The house has no station “${station}”.`,
  connecting: "Asking for the tickets …",
  connectingFor: (seconds) => `No answer for ${seconds} s. Trying on …`,
  nothing: "Nothing to cook.",
  nothingFound: "No ticket fits the filter.",

  noToken: "This display needs a token",
  noTokenWhat: "Make a link on the server, and open it here:",
  denied: "This display's token does not hold any more",
  deniedWhat: "Make a new link on the server, and open it here:",
  deniedRole: "This display's token may not see the kitchen",
  tokenCommand: "python -m app token --role kitchen --link",
  deniedBanner: "The token does not hold any more: these cards are as they were. Open a new link.",

  open: (count) => `${count} open`,
  late: (count) => `${count} late`,
  more: (count) => `${count} more`,
  older: (count) => `${count} older`,
  allDay: "All day",
  allDayNothing: "Nothing is open.",
  recall: "Recall",
  undo: "Undo",
  filter: "Filter",
  soundOn: "Sound",
  soundOff: "Muted",
  soundLocked: "Tap for sound",
  soundLabel: { on: "Sound is on: mute", off: "Muted: turn the sound on", locked: "Tap for sound: the browser makes none before" },
  larger: "Larger",
  smaller: "Smaller",
  help: "Keys and type size",

  search: "Table, dish, note",
  states: { all: "All states", todo: "Not begun", cooking: "Cooking", ready: "Ready", voided: "Void" },
  filtered: (hidden, fresh) => (hidden ? `${hidden} hidden${fresh ? `, ${fresh} new` : ""}` : ""),
  showAll: "Show all",

  state: { new: "New", seen: "To do", cooking: "Cooking", ready: "Ready", served: "Served", voided: "Void" },
  round: (round) => `round ${round}`,
  addition: (round) => `+ round ${round}`,
  additionTitle: (round) => `Addition: round ${round} of a table that is still being cooked for`,
  also: (stations) => `also ${stations.join(", ")}`,
  bump: { new: "Start", seen: "Start", cooking: "Ready", ready: "Served" },
  allStruck: "All done: ready",
  acknowledge: "Understood",
  moreActions: (table) => `More for ${table}`,
  sending: "sending …",
  allergens: "Allergens",
  voidReason: (reason) => (reason ? `Do not cook: ${reason}` : "Do not cook"),
  lateMark: "late",
  cardLabel: (table, round, state) => `Table ${table}, round ${round}, ${state}`,

  pass: "Ready to carry out",
  serve: ": carried out",
  back: (table) => `${table} back to cooking`,

  stale: (seconds) => `Stale since ${seconds} s`,
  staleWhat: "No word from the server. What you tap is kept, and sent when it answers.",
  waiting: (count) => `${many(count, "change waits", "changes wait")} to be sent.`,
  behind: (seconds) => `Behind by ${seconds} s: the server itself cannot read the orders. New tickets may be missing.`,
  unseen: (station, count, seconds) => `${stationName(station)} has not seen ${many(count, "ticket", "tickets")} for ${seconds} s.`,
  leftOut: (count) => `${many(count, "further open ticket is", "further open tickets are")} not shown.`,

  first: (table, who, state) => `${table}: ${who} was first. It is ${state} now.`,
  somebody: "another display",
  roles: { manager: "a manager", operator: "an operator", house: "the house", pad: "the guest" },
  impossible: (table, detail) => `${table}: not possible. ${detail || ""}`.trim(),
  gone: (table) => `${table}: that ticket is finished and gone.`,
  refused: (table, status) => `${table}: refused (${status}).`,
  forbidden: (table) => `${table}: this display's token may not do that.`,
  nothingToUndo: "There is nothing of this display's to undo.",
  changedSince: (table, who) => `${table} was changed since by ${who}: it cannot be undone here.`,
  did: {
    bump: (table, state) => `${table} is ${state}.`,
    undo: (table, state) => `${table} is ${state} again.`,
    recall: (table) => `${table} is back.`,
    void: (table) => `${table} is void.`,
    clear: (table) => `${table} is cleared.`,
  },

  newTickets: (names) => `New: ${names.join("; ")}`,
  newTicket: (table, round, dishes) => `table ${table}${round > 1 ? `, round ${round}` : ""}, ${dishes}`,
  newMany: (count) => `${count} new tickets`,
  voided: (table, dishes, reason) => `Void, do not cook: table ${table}, ${dishes}${reason ? `, ${reason}` : ""}`,
  lateNow: (tables) => `Late: ${tables.join(", ")}`,

  recallTitle: "The last that left",
  recallNothing: "Nothing has left yet.",
  recallAt: (state, clock) => `${state} ${clock}`,
  close: "Close",
  cancel: "Back",
  actions: (table, round) => `${table}, round ${round}`,
  actionsNone: "There is nothing to be done with it any more.",
  voidTitle: "Void it",
  voidWhat: "Everybody who cooks it is told. Say why:",
  voidReasons: ["Sold out", "Wrongly ordered", "Guest has left", "Kitchen's mistake"],
  voidOther: "Another reason",
  voidDo: "Void",
  clearDo: "Clear off as served",
  backDo: "Back to cooking",
  undoDo: "Undo the last change",
  lastChange: (action, who, clock) => `Last change: ${action}${who ? ` by ${who}` : ""}, ${clock}`,

  helpTitle: "Keys and type size",
  keys: [
    ["1 … 9, 0", "selects a card"],
    ["← ↑ ↓ →", "selects the next one there"],
    ["Enter, Space", "bumps it: start, ready, served"],
    ["L, then 1 … 0", "strikes a line, or takes that back"],
    ["U", "undoes this display's last change"],
    ["R, then 1 … 0", "recalls one of the last ten"],
    ["V", "acknowledges a void"],
    ["X", "more for the card: void, clear"],
    ["A", "all-day counts"],
    ["F", "filter; Esc shows all again"],
    ["M", "mutes"],
    ["+, −", "larger and smaller type"],
    ["S", "station"],
    ["?", "this list"],
  ],
};

export const stationName = (station) => station.charAt(0).toUpperCase() + station.slice(1);

// "2 Grilled Salmon, 1 Fries"
export const dishes = (ticket) => ticket.lines.map((line) => `${line.quantity} ${line.name}`).join(", ");

// Who changed the ticket: by name, else by what he is. `by` is "kitchen anna", "manager", "house", …
export function who(ticket) {
  const [role, ...name] = (ticket.by || "").split(" ");
  return (role !== "pad" && name.join(" ")) || texts.roles[role] || texts.somebody;
}
