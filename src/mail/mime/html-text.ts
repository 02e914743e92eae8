// The text of an HTML-only copy of a letter. Far less than a browser does, in linear time and without
// recursion: the armor inside survives any layout, and nobody reads the rest.

const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  shy: '',
  zwnj: '',
  zwj: '',
  zerowidthspace: '',
  nobreak: '',
  lrm: '',
  rlm: '',
  ensp: ' ',
  emsp: ' ',
  thinsp: ' ',
  tab: ' ',
  newline: '\n',
  lsqb: '[',
  rsqb: ']',
  lbrack: '[',
  rbrack: ']',
}

/** Elements whose content is not text. */
const hidden = ['style', 'script', 'title']

/** Elements that begin or end a line. */
const breaking = new Set(
  [
    'p',
    'div',
    'br',
    'tr',
    'li',
    'td',
    'h1',
    'h2',
    'h3',
    'h4',
    'h5',
    'h6',
    'pre',
    'blockquote',
    'table',
  ].flatMap((name) => [name, `/${name}`]),
)

const tagName = /\/?[a-z][a-z0-9]{0,10}/iy

export function textOfHtml(html: string): string {
  const endTags = Object.fromEntries(hidden.map((name) => [name, new RegExp(`</${name}`, 'gi')]))
  const pieces: string[] = []
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) {
      pieces.push(html.slice(at))
      break
    }
    if (open > at) pieces.push(html.slice(at, open))
    const isComment = html.startsWith('<!--', open)
    const close = isComment ? html.indexOf('-->', open) : html.indexOf('>', open)
    // A mark that never ends: no browser shows what follows.
    if (close < 0) break
    tagName.lastIndex = open + 1
    const name = isComment ? '' : (tagName.exec(html)?.[0].toLowerCase() ?? '')
    at = close + (isComment ? 3 : 1)
    if (breaking.has(name)) pieces.push('\n')
    if (hidden.includes(name)) {
      const end = endTags[name]
      if (!end) continue
      end.lastIndex = at
      const found = end.exec(html)
      if (!found) break
      at = found.index
    }
  }
  return pieces.map(decodeEntities).join('')
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,16}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return named[(name as string).toLowerCase()] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ''
  })
}
