// Run in the page of an agent: shows random trees one after the other in one place; each must come out as if it had
// been shown alone, and elements that have a key must be the same as before. Resolves to complaints.
import('/page/dom.js').then(({ el, show }) => {
  let seed = 1
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return Math.floor((seed / 2147483648) * below)
  }
  const tree = (depth, path) => {
    const kinds = ['p', 'div', 'button']
    const key = random(3) > 0 ? `${path}-${random(6)}` : null
    const children = []
    const taken = new Set()
    for (let i = random(5); i > 0 && depth > 0; i--) {
      if (random(4) === 0) children.push(`text ${random(3)}`)
      else {
        const child = tree(depth - 1, `${path}.${depth}`)
        const childKey = child.getAttribute('data-key')
        if (childKey === null || !taken.has(childKey)) children.push(child)
        taken.add(childKey)
      }
    }
    // The same key always is the same kind of element.
    const kind = key === null ? kinds[random(3)] : kinds[Number(key.at(-1)) % 3]
    return el(kind, { 'data-key': key, class: random(2) ? `c${random(3)}` : null }, ...children)
  }
  const complaints = []
  const place = el('section')
  document.body.append(place)
  for (let round = 0; round < 2000; round++) {
    const wanted = tree(3, 'top')
    const alone = wanted.innerHTML
    const before = new Map([...place.children].map((child) => [child.getAttribute('data-key'), child]))
    show(place, [...wanted.childNodes])
    if (place.innerHTML !== alone) complaints.push(`${round}: ${place.innerHTML} instead of ${alone}`)
    for (const child of place.children) {
      const old = before.get(child.getAttribute('data-key'))
      if (child.hasAttribute('data-key') && old && old !== child) complaints.push(`${round}: another element`)
    }
  }
  place.remove()
  return complaints.slice(0, 3)
})
