// Shows /openapi.json. Text goes into text nodes only, so nothing in the description can become markup.
import { element } from "./dom.js";

// `code` in a text becomes <code>.
function prose(text) {
  return (text || "").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function shape(schema) {
  if (!schema) return [];
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [element("a", { href: "#" + name }, name)];
  }
  if (schema.type === "array") return ["list of ", ...shape(schema.items)];
  if (schema.anyOf) return schema.anyOf.flatMap((one, index) => (index ? [" or ", ...shape(one)] : shape(one)));
  return ["const" in schema ? JSON.stringify(schema.const) : schema.enum ? schema.enum.join(", ") : schema.type || "any"];
}

function limits(schema) {
  const names = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format"];
  return names.filter((name) => name in schema).flatMap((name) => [`${name} `, element("code", {}, String(schema[name])), " "]);
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...cell))));
  return element("div", { className: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

// What an answer or request holds: nothing (204), or one media type, which is told where it is not JSON.
function content(part) {
  const [found] = Object.entries((part && part.content) || {});
  if (!found) return [];
  const [media, { schema }] = found;
  return media === "application/json" ? shape(schema) : [element("code", {}, media), ": ", ...shape(schema)];
}

function operation(path, method, described) {
  const answers = Object.entries(described.responses).sort().map(([status, answer]) => [
    [element("code", {}, status)],
    prose(answer.description),
    content(answer),
  ]);
  const body = content(described.requestBody);
  return element(
    "details",
    {},
    element("summary", {}, element("span", { className: "method" }, method), " ", element("code", {}, path), " ", described.summary),
    element("p", {}, ...prose(described.description)),
    ...(body.length ? [element("p", {}, "Body: ", ...body)] : []),
    table(["Status", "When", "Body"], answers),
  );
}

function schema(name, described) {
  const required = new Set(described.required || []);
  const rows = Object.entries(described.properties || {}).map(([field, one]) => [
    [element("code", {}, field), required.has(field) ? "" : " (optional)"],
    shape(one),
    limits(one),
  ]);
  return element(
    "details",
    { id: name, open: true },
    element("summary", {}, element("code", {}, name)),
    element("p", {}, ...prose(described.description)),
    table(["Field", "Type", "Allowed"], rows),
  );
}

async function show() {
  const status = document.getElementById("status");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const api = await answer.json();
    document.title = api.info.title;
    document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
    document.getElementById("introduction").append(...prose(api.info.description));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, described] of Object.entries(methods)) {
        document.getElementById("paths").append(operation(path, method, described));
      }
    }
    for (const [name, described] of Object.entries(api.components.schemas)) {
      document.getElementById("schemas").append(schema(name, described));
    }
    status.remove();
  } catch (error) {
    status.textContent = `The description cannot be read: ${error.message}`;
  }
}

show();
