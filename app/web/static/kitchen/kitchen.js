// The kitchen display: puts the parts together.

import { element } from "../dom.js";
import { pause, Stream } from "../stream.js";
import { kept, onTokenGiven, takeToken } from "../token.js";
import { LateWatch, band, seconds } from "./ages.js";
import { AllDay } from "./allday.js";
import { Banners, banners } from "./banners.js";
import { Bar } from "./bar.js";
import { Board, additions, allDay, fits, foreseen, inOrder, isBeingCooked, isLoud, isShown, isTodo } from "./board.js";
import { Cards } from "./cards.js";
import { Commands, sender } from "./commands.js";
import { actionsDialog, helpDialog, recallDialog } from "./dialogs.js";
import { Filter } from "./filter.js";
import { connecting, needsToken, stationChoice } from "./gate.js";
import { digitOf, intent, neighbour } from "./keys.js";
import { Messages } from "./messages.js";
import { Own } from "./own.js";
import { Preferences } from "./preferences.js";
import { Receipts } from "./receipts.js";
import { Sound } from "./sound.js";
import { dishes, texts, who } from "./texts.js";

const TOKEN = "kitchen.token";
const FRESH = 20_000; // ms that a card is marked as new
const TOGETHER = 80; // ms within which changes from elsewhere are drawn at once
const SETTLE = 400; // ms after cards moved in which a tap may be meant for what stood there before
const BACK_AFTER = 30_000; // ms without a touch
const SHOUT_AGAIN = 5000; // ms between the sounds of a void that nobody has acknowledged

const place = (id) => document.getElementById(id);
const stationOfAddress = () => new URLSearchParams(location.search).get("station") || "";

class Display {
  constructor(token) {
    this.token = token;
    this.station = "";
    this.stations = [];
    this.known = false;
    this.connecting = null;
    this.board = new Board();
    this.beat = null;
    this.beatAt = 0;
    this.staleSince = null;
    this.denied = false;
    this.arrived = new Map(); // ticket id -> performance.now() when it came
    this.selected = null;
    this.striking = false;
    this.dialog = null;
    this.stream = null;
    this.movedAt = -Infinity;
    this.tapped = { id: null, at: -Infinity };
    this.drawing = false;
    this.soon = null; // timers
    this.measuring = null;
    this.onBoard = []; // tickets in order, also those that the filter hides
    this.touchedAt = performance.now();

    this.preferences = new Preferences();
    this.sound = new Sound({ muted: this.preferences.muted, changed: () => this.bar.soundIs(this.sound.state) });
    this.messages = new Messages(place("toasts"), place("polite"), place("assertive"));
    this.late = new LateWatch();
    this.own = new Own(kept("sessionStorage"));
    this.receipts = new Receipts(token);
    this.commands = new Commands({
      send: sender(token),
      storage: kept("sessionStorage"),
      tell: (outcome) => this.answered(outcome),
      changed: () => this.draw(),
    });
    this.bar = new Bar(place("bar"), this.switches());
    this.filter = new Filter(place("filter"), () => this.draw());
    this.allDay = new AllDay((name) => this.pick(name));
    this.banners = new Banners(place("banners"), (banner) => this.messages.shout(banner.text));
    this.list = element("ol", { id: "board", role: "list", "aria-label": "Tickets" });
    this.empty = element("p", { id: "empty", hidden: true });
    this.strip = element("ol", { role: "list", "aria-label": texts.pass });
    place("pass").replaceChildren(element("h2", { id: "pass-title" }, texts.pass), this.strip);
    this.cards = new Cards(this.list, this.strip, {
      bump: (id) => this.tap(id, () => this.bump(id)),
      line: (id, lineId) => this.tap(`${id} ${lineId}`, () => this.strike(id, lineId), id),
      recall: (id) => this.tap(id, () => this.change(id, "recall")),
      actions: (id) => this.openActions(id),
      select: (id) => this.select(id, false),
    });
  }

  // The start, and the way to a station

  async start() {
    this.connect();
    this.listen();
    this.bar.soundIs(this.sound.state);
    this.resize();
    for (let attempt = 0; !this.stations.length; attempt += 1) {
      try {
        const answer = await this.token.fetch("/kitchen/stations", { signal: AbortSignal.timeout(5000) });
        if (answer.status === 401 || answer.status === 403) return this.deny(answer.status);
        if (!answer.ok) throw new Error(`stations: ${answer.status}`); // a refusal is JSON, too
        this.stations = (await answer.json()).stations;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, pause(attempt)));
      }
    }
    const station = stationOfAddress();
    if (station === "all" || this.stations.includes(station)) this.open(station);
    else if (!station && this.stations.length === 1) this.choose(this.stations[0]);
    else place("main").replaceChildren(stationChoice(this.stations, (name) => this.choose(name), station));
  }

  connect() {
    this.connecting = { ...connecting(), since: performance.now() };
    place("main").replaceChildren(this.connecting.node);
  }

  choose(station) {
    const query = new URLSearchParams(location.search);
    query.set("station", station);
    history.replaceState(history.state, "", `${location.pathname}?${query}`);
    this.open(station);
  }

  open(station) {
    this.stream?.stop();
    this.station = station;
    this.board = new Board();
    this.late = new LateWatch();
    this.beat = null;
    this.staleSince = null;
    this.known = false; // whether a snapshot has come
    this.select(null);
    document.body.dataset.station = station;
    this.connect();
    place("bar").hidden = false;
    this.bar.stations(this.stations, station);
    this.stream = new Stream({
      path: `/kitchen/stations/${encodeURIComponent(station)}/stream`,
      token: this.token,
      on: {
        snapshot: (told) => this.snapshot(told),
        ticket: (ticket) => this.news(this.board.ticket(ticket)),
        beat: (beat) => this.heard(beat),
      },
      onStale: (since) => {
        this.staleSince = since;
        this.sound.play("lost");
        this.tick();
      },
      onFresh: () => {
        this.staleSince = null;
        this.hurry();
        this.tick();
      },
      onDenied: (status) => this.deny(status),
    });
    this.stream.start();
    this.draw();
  }

  deny(status) {
    this.denied = true;
    this.commands.stop();
    this.receipts.stopped = true;
    this.stream?.stop();
    document.body.classList.add("denied");
    // Cards that are being cooked from stay; only a display that has none yet shows nothing else.
    if (!this.known) {
      place("bar").hidden = true;
      place("main").replaceChildren(needsToken(status === 403 ? texts.deniedRole : texts.denied, texts.deniedWhat));
    }
    this.tick();
  }

  // What the kitchen tells

  snapshot(told) {
    const news = this.board.snapshot(told);
    this.receipts.again(told.tickets.filter((ticket) => ticket.state === "new").map((ticket) => ticket.ticket_id));
    if (!this.known) {
      this.known = true;
      place("main").replaceChildren(this.list, this.empty, this.allDay.node);
      this.commands.start();
    }
    this.news(news);
  }

  news({ arrived, voided }) {
    for (const ticket of arrived) this.arrived.set(ticket.ticket_id, performance.now());
    if (arrived.length) {
      this.sound.play("new");
      this.messages.say(arrived, (tickets) => {
        if (tickets.length > 3) return texts.newMany(tickets.length);
        return texts.newTickets(tickets.map((ticket) => texts.newTicket(ticket.table_number, ticket.round, dishes(ticket))));
      });
    }
    if (voided.length) {
      this.sound.play("void");
      this.messages.shout(voided.map((ticket) => texts.voided(ticket.table_number, dishes(ticket), ticket.reason)).join(". "));
    }
    this.drawSoon();
  }

  heard(beat) {
    this.beat = beat;
    this.beatAt = performance.now();
    const others = Object.keys(beat.unseen || {}).filter((station) => station !== this.station);
    if (others.length) this.sound.play("unseen", 30_000);
    this.tick();
  }

  answered({ kind, status, command, body }) {
    const ticket = kind === "done" ? body : body?.ticket;
    const before = this.board.find(command.ticket_id) || ticket;
    const table = before?.table_number || "";
    if (ticket) this.news(this.board.ticket(ticket));
    if (kind === "done") {
      this.own.done(command, ticket.version);
      return this.draw();
    }
    if (kind === "denied") return this.deny(status);
    this.own.failed(command);
    const state = ticket ? texts.state[ticket.state].toLowerCase() : "";
    if (kind === "conflict") this.messages.tell(texts.first(table, who(ticket), state), "bad");
    else if (kind === "impossible") this.messages.tell(texts.impossible(table, body.detail), "bad");
    else if (kind === "forbidden") this.messages.tell(texts.forbidden(table), "bad");
    else if (kind === "refused") this.messages.tell(texts.refused(table, status), "bad");
    else if (kind === "gone") {
      this.board.drop(command.ticket_id);
      this.messages.tell(texts.gone(table), "bad");
    }
    this.flash(command.ticket_id);
    return this.draw();
  }

  // What a cook does

  // Runs what a tap is meant for; not where it may be meant for a card that has just moved away from under the finger, nor
  // where the finger stuck. Keys are taken always: what they do is seen before they are pressed.
  tap(what, run, card = what) {
    const now = performance.now();
    const isKey = window.event?.detail === 0;
    if (!isKey && (now - this.movedAt < SETTLE || (this.tapped.what === what && now - this.tapped.at < SETTLE))) return;
    this.tapped = { what, at: now };
    this.select(card, false);
    run();
  }

  // The ticket as what was tapped makes it; null: it is not known.
  seen(id) {
    const ticket = this.board.find(id);
    return ticket && foreseen(ticket, this.commands.of(id));
  }

  bump(id) {
    const ticket = this.seen(id);
    if (!ticket || !isShown(ticket)) return;
    this.change(id, ticket.state === "voided" ? "acknowledge_void" : "bump");
  }

  strike(id, lineId) {
    const ticket = this.seen(id);
    const line = ticket?.lines.find((one) => one.line_id === lineId);
    if (!line || !isBeingCooked(ticket)) return;
    this.change(id, line.done ? "line_undone" : "line_done", { line_id: lineId });
  }

  change(id, action, more = {}) {
    const ticket = this.board.find(id);
    if (!ticket || this.denied) return;
    const command = this.commands.add(id, ticket.version, action, more);
    this.own.did(command, ticket.table_number);
    const now = this.seen(id);
    const state = texts.state[now.state].toLowerCase();
    if (now.state === "served" && action === "bump") this.messages.tell(texts.did.bump(ticket.table_number, state));
    else if (texts.did[action] && action !== "bump" && action !== "undo") this.messages.tell(texts.did[action](ticket.table_number));
    this.draw();
  }

  undo() {
    const last = this.own.take();
    if (!last) return this.messages.tell(texts.nothingToUndo);
    const id = last.ticket_id;
    const waiting = this.commands.of(id).at(-1);
    const isLast = waiting ? waiting.command_id === last.command_id : last.version !== null && this.board.versionOf(id) <= last.version;
    if (!isLast) {
      const ticket = this.board.find(id);
      this.messages.tell(texts.changedSince(last.table, ticket ? who(ticket) : texts.somebody), "bad");
      return this.draw();
    }
    this.commands.add(id, last.version ?? 0, "undo");
    const now = this.seen(id);
    this.messages.tell(`${texts.undo}: ${last.table}`);
    if (now && isShown(now)) this.select(id);
    return this.draw();
  }

  openActions(id) {
    const find = () => this.seen(id);
    if (!find()) return;
    this.select(id, false);
    this.dialog = actionsDialog(find, (action, more) => this.change(id, action, more));
  }

  openRecall() {
    this.dialog = recallDialog(this.board, (ticket) => this.change(ticket.ticket_id, "recall"));
  }

  pick(name) {
    const isSame = this.filter.text === name;
    if (isSame) this.filter.close();
    else {
      this.filter.node.hidden = false;
      this.filter.set({ text: name });
    }
  }

  switches() {
    return {
      station: (name) => {
        this.bar.station.blur(); // digits are the cards' again
        this.choose(name);
      },
      filter: () => (this.filter.isOpen ? this.filter.close() : this.filter.open()),
      allDay: () => {
        this.preferences.set({ allDay: !this.preferences.allDay });
        this.draw();
      },
      recall: () => this.openRecall(),
      undo: () => this.undo(),
      mute: () => {
        // The first tap on it only unlocks.
        if (this.sound.state === "locked") return;
        this.preferences.set({ muted: !this.preferences.muted });
        this.sound.mute(this.preferences.muted);
      },
      larger: () => this.resize(1),
      smaller: () => this.resize(-1),
      help: () => (this.dialog = helpDialog((step) => this.resize(step))),
      further: () => this.list.scrollBy({ left: this.list.clientWidth * 0.9, behavior: "smooth" }),
      before: () => this.list.scrollTo({ left: 0, behavior: "smooth" }),
    };
  }

  resize(step = 0) {
    if (step) this.preferences.resize(step);
    document.documentElement.dataset.size = this.preferences.size;
    this.draw();
  }

  // Keys

  listen() {
    document.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["pointerdown", "keydown", "wheel"]) document.addEventListener(kind, () => this.touched(), { capture: true, passive: true });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.hurry();
      this.draw();
      this.stayAwake();
    });
    addEventListener("online", () => this.hurry());
    addEventListener("resize", () => this.draw());
    // What grows or shrinks above the cards moves them.
    const above = new ResizeObserver(() => (this.movedAt = performance.now()));
    for (const id of ["bar", "banners", "filter"]) above.observe(place(id));
    this.list.addEventListener("scroll", () => this.measureSoon(), { passive: true });
    this.list.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    // A bump bar's Enter shall not press the button that a finger pressed last.
    place("bar").addEventListener("click", (event) => event.detail > 0 && event.target.closest("button")?.blur());
    setInterval(() => this.tick(), 1000);
    this.stayAwake();
  }

  touched() {
    this.touchedAt = performance.now();
    this.sound.unlock();
  }

  key(event) {
    if (this.denied && !this.known) return;
    const target = event.target;
    if (target.matches?.("input:not([type=radio]), textarea, select")) {
      if (event.key === "Escape" && target === this.filter.search) this.leave();
      return;
    }
    if (this.dialog && !this.dialog.isOpen) this.dialog = null;
    const mode = this.dialog ? (this.dialog.name === "recall" ? "recall" : "") : this.striking ? "lines" : "board";
    if (!mode) return;
    const found = intent(event, mode);
    if (!found) return;
    // Who moves through the page by Tab presses what has the focus.
    if (found.do === "bump" && target.matches?.("button, a, input, summary")) return;
    if (found.do === "move" && target.matches?.("input")) return;
    document.body.classList.add("with-keys");
    if (mode !== "recall" || found.do !== "leave") event.preventDefault();
    this.obey(found);
    this.draw();
  }

  obey(what) {
    const { order } = this.cards;
    const id = order.includes(this.selected) ? this.selected : null;
    switch (what.do) {
      case "select":
        if (order[what.index]) this.select(order[what.index]);
        break;
      case "move":
        this.select(order[neighbour(this.cards.boxes(), order.indexOf(id), what.way)] ?? null);
        break;
      case "bump":
        this.bumpByKey(id);
        break;
      case "lines":
        this.striking = id !== null && isBeingCooked(this.seen(id));
        break;
      case "line": {
        const line = id && this.seen(id).lines[what.index];
        if (line) this.strike(id, line.line_id);
        break;
      }
      case "acknowledge": {
        const isVoid = (one) => one && isLoud(this.seen(one));
        const found = isVoid(id) ? id : order.find(isVoid);
        if (found) this.change(found, "acknowledge_void");
        break;
      }
      case "actions":
        if (id) this.openActions(id);
        break;
      case "recallOne": {
        const ticket = this.board.recent[what.index];
        if (ticket?.state !== "served") break;
        this.dialog.close();
        this.change(ticket.ticket_id, "recall");
        break;
      }
      case "station":
        this.bar.station.focus();
        break;
      case "leave":
        this.leave();
        break;
      case "nothing":
        break;
      default:
        this.switches()[what.do]();
    }
  }

  // One that is ready leaves the selection to the next; a key that bounces shall not bump that one.
  bumpByKey(id) {
    const now = performance.now();
    const { order } = this.cards;
    if (!id) return this.select(order[0] ?? null);
    if (this.tapped.what !== id && now - this.tapped.at < SETTLE) return;
    const isReady = this.seen(id).state === "cooking";
    const next = order[order.indexOf(id) + 1] ?? null;
    this.tapped = { what: id, at: now };
    this.bump(id);
    if (isReady && next && this.cards.isCard(next)) this.select(next);
  }

  leave() {
    if (this.dialog?.isOpen) this.dialog.close();
    else if (this.striking) this.striking = false;
    else if (this.filter.isOpen || this.filter.isOn) this.filter.close();
    else this.select(null);
    if (document.activeElement === this.filter.search) this.filter.search.blur();
  }

  select(id, focus = true) {
    if (id !== this.selected) this.striking = false;
    this.selected = id;
    this.cards.select(id);
    const card = id && this.cards.get(id);
    if (!card) {
      if (focus && place("main").contains(document.activeElement)) document.activeElement.blur();
      return;
    }
    if (focus) {
      card.focusable.focus({ preventScroll: true });
      card.node.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  // With a mouse's wheel the columns go by as a page does.
  wheel(event) {
    if (event.deltaX || event.ctrlKey || this.list.scrollWidth <= this.list.clientWidth) return;
    event.preventDefault();
    this.list.scrollLeft += event.deltaY;
  }

  async stayAwake() {
    try {
      await navigator.wakeLock?.request("screen");
    } catch {
      // A browser that does not: then the device is set so.
    }
  }

  hurry() {
    this.commands.hurry();
    this.receipts.hurry();
  }

  // What is shown

  drawSoon() {
    this.soon ??= setTimeout(() => this.draw(), TOGETHER);
  }

  // With the next frame, and once for all that happens until then.
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    // Also where the page is not to be seen, and no frame comes.
    const run = () => {
      if (!this.drawing) return;
      this.drawing = false;
      clearTimeout(this.soon);
      this.soon = null;
      this.drawNow();
    };
    if (document.hidden) setTimeout(run);
    else requestAnimationFrame(run);
  }

  drawNow() {
    if (!this.known) return;
    const { board, filter } = this;
    const tickets = [...board.tickets.values()].map((ticket) => foreseen(ticket, this.commands.of(ticket.ticket_id)));
    // What was recalled is not on the board before the answer.
    for (const ticket of board.recent) {
      const waiting = this.commands.of(ticket.ticket_id);
      if (waiting.length) tickets.push(foreseen(ticket, waiting));
    }
    const open = inOrder(tickets.filter(isShown));
    const shown = open.filter((ticket) => fits(ticket, filter));
    const added = additions(open);
    const now = performance.now();
    const isFresh = (id) => now - (this.arrived.get(id) ?? -Infinity) < FRESH;
    const onCards = shown.filter((ticket) => ticket.state !== "ready");
    const onPass = shown.filter((ticket) => ticket.state === "ready");
    const view = (offset) => (ticket, index) => ({
      ticket,
      pending: this.commands.of(ticket.ticket_id).map((command) => command.command_id),
      addition: added.has(ticket.ticket_id),
      digit: digitOf(offset + index),
      lines: this.striking && ticket.ticket_id === this.selected,
      fresh: ticket.state === "new" || isFresh(ticket.ticket_id),
      withStation: this.station === "all",
    });
    const focused = document.activeElement;
    const held = this.list.contains(focused) || this.strip.contains(focused) ? this.cards.order.indexOf(this.selected) : -1;
    if (this.cards.show(onCards.map(view(0)), onPass.map(view(onCards.length)))) this.movedAt = now;
    this.keepSelection(held, focused);

    const hidden = open.filter((ticket) => !fits(ticket, filter));
    this.filter.hides(hidden.length, hidden.filter((ticket) => ticket.state === "new").length);
    place("pass").hidden = onPass.length === 0;
    this.empty.hidden = onCards.length > 0;
    this.empty.textContent = hidden.length ? texts.nothingFound : texts.nothing;
    this.allDay.node.hidden = !this.preferences.allDay;
    if (this.preferences.allDay) this.allDay.show(allDay(open));
    this.onBoard = open;
    this.dialog?.redraw();
    this.tick();
    this.measureSoon();
    this.acknowledge(shown);
  }

  // How many cards are out of sight: where cards are has a price, and is not asked with each change.
  measureSoon() {
    this.measuring ??= setTimeout(() => {
      this.measuring = null;
      const { scrollWidth, clientWidth } = this.list;
      const { left: first, right: last } = this.list.getBoundingClientRect();
      const boxes = scrollWidth > clientWidth ? this.cards.boxes().slice(0, this.list.children.length) : [];
      this.bar.outOfSight({
        before: boxes.filter(({ left, width }) => left + width <= first + 8).length,
        further: boxes.filter(({ left }) => left >= last - 8).length,
      });
    }, 200);
  }

  // The focus does not fall off with a card that leaves: the one that takes its place has it.
  keepSelection(held, focused) {
    const { order } = this.cards;
    if (this.selected && !order.includes(this.selected)) {
      this.striking = false;
      this.select(held >= 0 ? (order[Math.min(held, order.length - 1)] ?? null) : null, held >= 0);
    } else {
      this.cards.select(this.selected);
      // What has become ready leaves it too: the next Enter shall not carry it out.
      if (held >= 0 && focused && !focused.isConnected) this.select(this.cards.isCard(this.selected) ? this.selected : order[Math.min(held, order.length - 1)]);
    }
    if (this.striking && !isBeingCooked(this.seen(this.selected))) this.striking = false;
  }

  // The receipt: what is new has been drawn, and the page is to be seen.
  acknowledge(shown) {
    const fresh = shown.filter((ticket) => ticket.state === "new").map((ticket) => ticket.ticket_id);
    if (!fresh.length || document.hidden) return;
    requestAnimationFrame(() => setTimeout(() => document.hidden || this.receipts.shown(fresh)));
  }

  flash(id) {
    const node = this.cards.get(id)?.node;
    if (!node) return;
    node.classList.remove("flash");
    requestAnimationFrame(() => node.classList.add("flash"));
  }

  // Once a second, and with each change: everything that has an age.
  tick() {
    const monotonic = performance.now();
    const now = this.stream?.clock.now() ?? 0;
    const moved = this.banners.show(
      banners({
        staleFor: this.staleSince === null ? null : monotonic - this.staleSince,
        denied: this.denied && this.known,
        beat: this.beat,
        beatAge: monotonic - this.beatAt,
        waiting: this.commands.size,
        leftOut: this.board.more,
        station: this.station,
        now,
      }),
    );
    if (moved) this.movedAt = monotonic;
    document.body.classList.toggle("stale", this.staleSince !== null);
    if (!this.known) return this.connecting?.tell(seconds(monotonic - this.connecting.since));
    this.cards.tick(now, this.board.limits);
    const open = this.onBoard;
    const cooked = open.filter(isBeingCooked);
    const late = cooked.filter((ticket) => band(now - Date.parse(ticket.placed_at), this.board.limits) === "late");
    const became = this.late.look(cooked, now, this.board.limits);
    if (became.length) {
      this.sound.play("late");
      this.messages.shout(texts.lateNow(became.map((ticket) => ticket.table_number)));
    }
    if (open.some(isLoud)) this.sound.play("void", SHOUT_AGAIN);
    this.bar.counts({ open: cooked.length, late: late.length, undoable: this.own.hasAny && !this.denied });
    this.bar.switched({ filter: this.filter.isOpen, allDay: this.preferences.allDay });
    // The oldest are on the left: a board that was left scrolled away comes back to them.
    if (this.list.scrollLeft > 0 && monotonic - this.touchedAt > BACK_AFTER && !this.dialog?.isOpen) {
      this.touchedAt = monotonic;
      this.switches().before();
    }
    document.title = texts.title(this.station, cooked.length);
    for (const [id, at] of this.arrived) {
      if (monotonic - at < FRESH) continue;
      this.arrived.delete(id);
      this.draw();
    }
  }
}

onTokenGiven(() => location.reload());
const token = takeToken(TOKEN);
if (token) {
  const display = new Display(token);
  display.start();
} else {
  place("main").replaceChildren(needsToken(texts.noToken));
}
