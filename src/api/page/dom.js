// Creates elements, and updates the page by changing only what differs, so that elements keep the focus. Texts are inserted
// as text nodes only, so that texts of other people cannot add elements to the page.

/** @typedef {Node | string | null | false} Child */

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes] null or false: the attribute is left out
 * @param {readonly Child[]} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  return addContent(document.createElement(tag), attributes, children)
}

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {readonly Child[]} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return addContent(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

/**
 * @template {Element} Created
 * @param {Created} element
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {readonly Child[]} children
 */
function addContent(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children) if (child !== null && child !== false) element.append(child)
  return element
}

/**
 * Changes the children of `element` to `content`. A child with a `data-key` updates the element that has the same key.
 * @param {Element} element
 * @param {readonly Child[]} content
 */
export function show(element, content) {
  const updated = el('div', {}, ...content)
  patchChildren(element, updated)
}

/**
 * @param {Element} old
 * @param {Element} updated
 */
function patchElement(old, updated) {
  for (const { name } of [...old.attributes]) {
    // A person sets this attribute by opening an element.
    if (!updated.hasAttribute(name) && name !== 'open') old.removeAttribute(name)
  }
  for (const { name, value } of updated.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  }
  patchChildren(old, updated)
}

/**
 * @param {Element} old
 * @param {Element} updated
 */
function patchChildren(old, updated) {
  const keys = new Set([...updated.childNodes].map(keyOf))
  for (const child of [...old.childNodes])
    if (keyOf(child) !== null && !keys.has(keyOf(child))) child.remove()
  const keyed = new Map([...old.childNodes].map((child) => [keyOf(child), child]))
  /** @type {ChildNode | null} */
  let at = old.firstChild
  for (const child of [...updated.childNodes]) {
    const key = keyOf(child)
    const same = key === null ? (at && keyOf(at) === null ? at : undefined) : keyed.get(key)
    if (!same || same.nodeName !== child.nodeName) {
      old.insertBefore(child, at)
      if (same && same === at) {
        at = same.nextSibling
        same.remove()
      }
      continue
    }
    if (same === at) at = at.nextSibling
    else old.insertBefore(same, at)
    if (same instanceof Element && child instanceof Element) patchElement(same, child)
    else if (same.textContent !== child.textContent) same.textContent = child.textContent
  }
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? node.getAttribute('data-key') : null
}
