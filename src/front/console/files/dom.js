// Owns how elements are found and made. Contract: text becomes text, never markup, whoever wrote it.

export function byId(id) {
  return document.getElementById(id);
}

/** An element with these properties and children; a text is a child, too. Of `data`, each is a data attribute. */
export function make(tag, { data = {}, attributes = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text only if it is another one: a screen reader reads what is set. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a text in an element that is hidden without one. */
export function tell(element, text) {
  say(element, text ?? "");
  element.hidden = !text;
}

/** Keeps a form's button from being pressed twice, and says what went wrong beside it. */
export async function during(button, fault, work) {
  tell(fault, null);
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.disabled = false;
  }
}
