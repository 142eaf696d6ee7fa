// A question before something that cannot be taken back.

import { element } from "../dom.js";
import { closeOutside } from "./dish-dialog.js";
import { byId } from "./show.js";

const dialog = byId("ask");
closeOutside(dialog);

// Resolves to whether the guest said yes.
export function ask({ title, about, yes, no }) {
  return new Promise((resolve) => {
    let answer = false;
    const say = (said) => () => {
      answer = said;
      dialog.close();
    };
    dialog.replaceChildren(
      element("div", { className: "inside" }, element("h2", { id: "ask-title", tabIndex: -1 }, title), ...about),
      element(
        "div",
        { className: "buttons" },
        element("button", { type: "button", onclick: say(false) }, no),
        element("button", { type: "button", className: "first", id: "ask-yes", onclick: say(true) }, yes),
      ),
    );
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    byId("ask-title").focus();
  });
}
