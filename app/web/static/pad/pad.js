// The pad of a table: the menu, what the guest is about to order, and what the table has ordered.

import { element, setText } from "../dom.js";
import { kept, onTokenGiven, takeToken } from "../token.js";
import { ask } from "./ask-dialog.js";
import { BasketView } from "./basket-view.js";
import { look } from "./basket.js";
import { cancelOrder } from "./cancel.js";
import { DishDialog } from "./dish-dialog.js";
import { MenuFeed } from "./menu-feed.js";
import { MenuView } from "./menu-view.js";
import { Menu } from "./menu.js";
import { moneyWriter, toMinor } from "./money.js";
import { lineList } from "./order-lines.js";
import { OrdersView } from "./orders-view.js";
import { OutboxView } from "./outbox-view.js";
import { learn, newState, send } from "./outbox.js";
import { Sender } from "./sender.js";
import { byId, Part } from "./show.js";
import { newId, Store } from "./store.js";
import { TableFeed } from "./table-feed.js";
import { Table } from "./table.js";
import { speak, TEXTS } from "./texts.js";

const TOKEN = "bistro92.pad.token";
const LANGUAGE = "bistro92.pad.language";
const NOTICE = 15_000; // ms
const ANSWERED_LATELY = 8000; // ms; so long is the house known to answer, whatever the stream does

class Pad {
  news = []; // lines that others ordered, until the guest has read them
  cancelling = new Map(); // order id -> {state: "asked" | "refused", …}
  #known = null; // ids of the orders that were read; null: none were yet
  #states = new Map(); // order id -> the state that was last said
  #views = new Part(byId("views"));
  #languages = new Part(byId("languages"));
  #banner = new Part(byId("banner"));
  #noticed = new Part(byId("notice"));
  #notice = null;
  #noticeTimer = null;
  #view = "menu";
  #feed = null; // of the menu, in the guest's language
  #isShowing = false;
  #ended = null; // why, where nothing can be done here any more

  constructor(house, token) {
    const { table, session } = token.claims;
    this.house = house;
    this.token = token;
    this.menu = new Menu(house.digits);
    this.table = new Table(table, house.digits);
    this.store = new Store(kept("localStorage"), table, session, (state) => this.#become(state));
    this.store.forgetOthers();
    this.state = this.store.read() ?? newState(newId());
    this.speak(read(LANGUAGE));
    this.dishDialog = new DishDialog(this);
    this.menuView = new MenuView(this);
    this.basketView = new BasketView(this);
    this.outboxView = new OutboxView(this);
    this.ordersView = new OrdersView(this);
    this.sender = new Sender({
      token,
      table,
      toMinor: (decimal) => toMinor(decimal, house.digits),
      read: () => this.state,
      write: (state) => this.write(state),
      onAnswer: (answer, outbox) => this.#answered(answer, outbox),
    });
    this.tableFeed = new TableFeed({
      token,
      table: this.table,
      on: {
        change: () => this.show(),
        read: (orders) => this.#read(orders),
        closed: () => this.#end("ended"),
        denied: () => this.#end("denied"),
      },
    });
  }

  start() {
    byId("main").hidden = false;
    byId("views").hidden = false;
    byId("house").textContent = this.house.name;
    this.show();
    this.#follow();
    this.tableFeed.start();
    this.sender.wake();
    this.ticking = setInterval(() => this.#tick(), 1000);
    isWide.addEventListener("change", () => this.show());
    if (this.state.outbox) this.go("basket");
  }

  // The server's time, in ms.
  now = () => this.tableFeed.clock.now();

  clockTime = (moment) => {
    const form = new Intl.DateTimeFormat(this.locale, {
      timeZone: this.house.time_zone,
      hour: "2-digit",
      minute: "2-digit",
    });
    return form.format(new Date(moment));
  };

  duration(seconds) {
    return seconds < 100 ? this.texts.seconds(seconds) : this.texts.minutes(Math.round(seconds / 60));
  }

  orders() {
    return this.table.orders(this.now());
  }

  speak(wanted) {
    Object.assign(this, speak(wanted, navigator.languages ?? []));
    this.money = moneyWriter(this.locale, this.house.currency, this.house.digits);
    document.documentElement.lang = this.language;
  }

  #switchTo(language) {
    write(LANGUAGE, language);
    this.speak(language);
    if (this.#ended) {
      this.#showLanguages();
      lock(this.#ended, this, this.state.outbox !== null);
      return;
    }
    this.#follow();
    this.show();
  }

  #follow() {
    this.#feed?.stop();
    const { token, menu, language } = this;
    this.#feed = new MenuFeed({ token, menu, language, onChange: () => this.show() });
    this.#feed.start();
  }

  // What the guest does.

  putIn(change, name) {
    this.changeBasket(change);
    this.say(this.texts.added(name, this.money(look(this.state.basket, this.menu).total)));
  }

  changeBasket(change) {
    this.write({ ...this.state, basket: change(this.state.basket) });
  }

  send() {
    const { version } = this.table;
    const seen = look(this.state.basket, this.menu);
    if (version === null || seen.lines.length > this.house.max_lines) return;
    this.decide((state) => send(state, seen, { version, revision: this.menu.revision, nextId: newId() }));
    byId("basket").scrollTop = 0;
    byId("basket-title").focus();
  }

  decide(change) {
    const before = this.state.outbox;
    this.write(change(this.state));
    this.sender.wake();
    // What was taken back may have arrived: the table's orders tell.
    if (before?.open && !this.state.outbox) this.tableFeed.refresh();
  }

  readNews() {
    this.news = [];
    this.show();
  }

  async askToCancel(order) {
    const { texts } = this;
    const about = [lineList(order.lines, this)];
    if (!(await ask({ title: texts.cancelAsk, about, yes: texts.cancelYes, no: texts.cancelNo }))) return;
    const told = (how) => {
      this.cancelling.set(order.id, how);
      this.show();
    };
    told({ state: "asked" });
    const answer = await cancelOrder(this.token, order.id, () => told({ state: "asked", failed: true }));
    if (answer.kind === "ended") return this.#end("ended");
    if (answer.kind === "cancelled") {
      this.cancelling.delete(order.id);
      this.table.cancelled(order.id);
      this.tell("cancelledNow");
    } else {
      told({ state: "refused", ...answer });
    }
    this.tableFeed.refresh();
    this.show();
  }

  go(view) {
    this.#view = view;
    this.show();
  }

  // What is heard.

  write(state) {
    this.store.write(state);
    this.#become(state);
  }

  #become(state) {
    this.state = state;
    this.sender.wake();
    this.show();
  }

  #answered(answer, outbox) {
    if (answer.kind === "ended") return this.#end("ended");
    if (answer.kind === "forbidden") return this.#end("denied");
    if (answer.kind === "unknown") return;
    if (answer.kind === "accepted") {
      this.table.placed(answer, outbox, this.now());
      this.#known?.add(answer.orderId);
      this.tell("accepted");
      this.#thank();
    }
    if (answer.kind === "conflict") for (const { order_id: id } of answer.missed ?? []) this.#known?.add(id);
    this.tableFeed.refresh();
    this.show();
  }

  #thank() {
    const inBasket = byId("basket").contains(document.activeElement);
    this.go("orders");
    if (inBasket) byId("orders-title").focus();
  }

  #read(orders) {
    const { state, settled } = learn(this.state, orders, newId());
    if (settled) {
      this.write(state);
      this.tell(settled === "changed" ? "acceptedBefore" : "acceptedAfterAll");
      if (settled === "sent") this.#thank();
    } else if (state !== this.state) {
      this.write(state);
    }
    this.#noticeOthers();
    this.show();
  }

  #noticeOthers() {
    const orders = this.orders();
    if (this.#known) {
      const others = orders.filter(({ id, clientId }) => !this.#known.has(id) && !this.state.mine.includes(clientId));
      const lines = others.flatMap((order) => order.lines);
      // What a conflict shows already is no news.
      if (lines.length && this.state.outbox?.state !== "conflict") {
        this.news = [...this.news, ...lines];
        this.tell("news");
      }
    }
    this.#known = new Set(orders.map(({ id }) => id));
  }

  #end(why) {
    if (this.#ended) return;
    this.#ended = why;
    this.tableFeed.stop();
    this.sender.stop();
    this.#feed.stop();
    clearInterval(this.ticking);
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    lock(why, this, this.state.outbox !== null);
  }

  // Shown at the top for a while, by the name of the text; it can be seen elsewhere too.
  tell(name) {
    this.#notice = name;
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => this.tell(null), NOTICE);
    this.show();
  }

  // Told to who cannot see it; repeated words are said again.
  say(text) {
    const said = byId("said");
    said.textContent = said.textContent === text ? `${text} ` : text;
  }

  // What is shown. Whatever changed within one turn is shown at once.

  show() {
    if (this.#isShowing) return;
    this.#isShowing = true;
    queueMicrotask(() => {
      this.#isShowing = false;
      if (!this.#ended) this.#show();
    });
  }

  #show() {
    const { texts, table } = this;
    setText(byId("table"), texts.table(table.number));
    document.title = `${texts.table(table.number)} – ${this.house.name}`;
    this.#showLanguages();
    this.#showViews();
    this.#showBanner();
    this.#noticed.show([this.#notice, texts.language], () => [
      this.#notice && element("p", { className: this.#notice }, texts[this.#notice]),
    ]);
    this.menuView.show();
    this.outboxView.show();
    this.basketView.show();
    this.ordersView.show();
    this.dishDialog.show();
    this.#sayStates();
  }

  #tick() {
    this.outboxView.tick();
    this.ordersView.show();
    this.#showBanner();
  }

  #showLanguages() {
    this.#languages.show(this.language, () =>
      Object.entries(TEXTS)
        .filter(([language]) => language !== this.language)
        .map(([language, texts]) =>
          element(
            "button",
            { type: "button", lang: language, "data-focus": "language", onclick: () => this.#switchTo(language) },
            texts.language,
          ),
        ),
    );
  }

  #showViews() {
    const { texts, state } = this;
    byId("main").dataset.view = this.#view;
    const count = look(state.basket, this.menu).count;
    const about = {
      menu: "",
      basket: state.outbox
        ? state.outbox.state === "sending"
          ? texts.beingSent
          : texts.needsYou
        : count
          ? texts.countInBasket(count)
          : "",
      orders: this.orders().length ? texts.countOfOrders(this.orders().length) : "",
    };
    const urgent = state.outbox !== null && state.outbox.state !== "sending";
    this.#views.show([this.#view, isWide.matches, about, urgent, texts.language], () =>
      Object.entries(texts.views).map(([view, name]) =>
        element(
          "button",
          {
            type: "button",
            id: `to-${view}`,
            className: view === "basket" && urgent ? "urgent" : "",
            "data-focus": `to ${view}`,
            "aria-current": this.#isShown(view) ? "true" : null,
            onclick: () => this.#goTo(view),
          },
          element("span", { className: "name" }, name),
          about[view] && element("span", { className: "about" }, about[view]),
        ),
      ),
    );
  }

  // A wide page always shows the menu, and beside it the basket where nothing else was chosen.
  #isShown(view) {
    return this.#view === view || (view === "basket" && this.#view === "menu" && isWide.matches);
  }

  #goTo(view) {
    this.go(view);
    queueMicrotask(() => byId(`${view}-title`).focus({ preventScroll: true }));
  }

  #showBanner() {
    const { texts, tableFeed } = this;
    const { staleSince, behindSince, answered } = tableFeed;
    const now = performance.now();
    const since = staleSince ?? behindSince;
    const seconds = since === null ? null : Math.round((now - since) / 1000);
    const reached = staleSince === null || now - answered < ANSWERED_LATELY;
    const text = seconds === null ? "" : (reached ? texts.staleOrders : texts.stale)(this.duration(seconds));
    // Said once; the seconds go on without a word.
    this.#banner.show([seconds === null, reached, texts.language], () => [
      text && element("p", { id: "stale", "aria-live": "off" }),
    ]);
    if (text) byId("stale").textContent = text;
  }

  #sayStates() {
    for (const { id, state, placedAt } of this.orders()) {
      const before = this.#states.get(id);
      this.#states.set(id, state);
      if (before === undefined || before === state || before === "unknown" || state === "unknown") continue;
      this.say(`${this.texts.orderAt(this.clockTime(placedAt))}: ${this.texts.states[state]}`);
    }
  }
}

const isWide = matchMedia("(min-width: 50rem)");

// Nothing can be done here any more, or not yet: what to do, in words.
function lock(why, { texts, house }, isOpen = false) {
  byId("main").hidden = true;
  byId("views").hidden = true;
  byId("told").hidden = true;
  byId("house").textContent = house.name;
  document.title = house.name;
  const locked = byId("locked");
  locked.hidden = false;
  locked.dataset.why = why;
  locked.replaceChildren(
    element("h2", { tabIndex: -1 }, texts[why]),
    element("p", {}, texts[`${why}How`]),
    ...(why === "ended" && isOpen ? [element("p", { className: "wrong" }, texts.endedOpen)] : []),
    ...(why === "ended" ? [] : [element("p", { className: "small" }, texts.forStaff)]),
  );
  locked.querySelector("h2").focus();
}

function read(name) {
  try {
    return kept("localStorage").getItem(name);
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    kept("localStorage").setItem(name, value);
  } catch {
    // The choice holds until the page is closed.
  }
}

function start() {
  const house = JSON.parse(document.querySelector('meta[name="house"]').content);
  onTokenGiven(() => location.reload());
  // A page that the browser had put aside knows nothing of what happened meanwhile.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  const token = takeToken(TOKEN, kept("localStorage"));
  const { role, table } = token?.claims ?? {};
  if (role === "pad" && typeof table === "string") {
    new Pad(house, token).start();
    return;
  }
  const { language, texts } = speak(read(LANGUAGE), navigator.languages ?? []);
  document.documentElement.lang = language;
  lock(token ? "denied" : "noToken", { texts, house });
}

start();
