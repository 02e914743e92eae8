// Making elements, and making what is shown like what was made: elements that stay keep the focus. Texts go in as
// texts only, so nothing that others wrote can become part of the page.

/** @typedef {Node | string | null | false} Child */

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes] those that are null or false are left out
 * @param {readonly Child[]} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children)
}

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {readonly Child[]} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

/**
 * @template {Element} Made
 * @param {Made} element
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {readonly Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children) if (child !== null && child !== false) element.append(child)
  return element
}

/**
 * Makes the content of `shown` like `wanted`. Children with `data-key` are the same as those that had it before.
 * @param {Element} shown
 * @param {readonly Child[]} wanted
 */
export function show(shown, wanted) {
  const fresh = el('div', {}, ...wanted)
  patchChildren(shown, fresh)
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function patchElement(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // What a person opened stays open.
    if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name)
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  }
  patchChildren(old, fresh)
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function patchChildren(old, fresh) {
  const keys = new Set([...fresh.childNodes].map(keyOf))
  for (const child of [...old.childNodes])
    if (keyOf(child) !== null && !keys.has(keyOf(child))) child.remove()
  const keyed = new Map([...old.childNodes].map((child) => [keyOf(child), child]))
  /** @type {ChildNode | null} */
  let at = old.firstChild
  for (const child of [...fresh.childNodes]) {
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
