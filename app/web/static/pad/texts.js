// Which language the pad speaks: the guest's choice, else the browser's, else English.

import { ENGLISH } from "./texts.en.js";
import { FRENCH } from "./texts.fr.js";

export const TEXTS = { en: ENGLISH, fr: FRENCH };

// `wanted` is the guest's own choice, or null; the locale writes numbers and times as the guest's region does.
export function speak(wanted, languages) {
  const known = (language) => TEXTS[primary(language)];
  const language = TEXTS[wanted] ? wanted : primary(languages.find(known) ?? "en");
  const locale = languages.find((one) => primary(one) === language) ?? language;
  return { language, locale, texts: TEXTS[language] };
}

function primary(language) {
  return language.split("-")[0].toLowerCase();
}
