// Elements made of text, never of markup.

// Properties are the element's own, like `className` or `onclick`; a name with a dash (`aria-label`, `data-…`) and
// `role` are attributes. Children are nodes or texts; what is null or false is left out.
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (key.includes("-") || key === "role") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Sets the text where it differs, so that what is selected, focused or being read stays.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Puts exactly these nodes, in this order, into the parent, and moves only what does not stand where it should.
export function arrange(parent, nodes) {
  let place = parent.firstChild;
  for (const node of nodes) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}
