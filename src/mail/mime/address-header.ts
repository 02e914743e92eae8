// Mail addresses as peerpost takes them: plain addr-specs, no quoting, no comments, no domain literals.
// What mail programs may write around them is read here, too.

const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const domainLabel = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/

/** Dot-atom@name, ASCII, at most 64 and 254 characters (RFC 5321 §4.5.3.1). Nothing in it can end a header
 *  field, an SMTP command or a list of addresses. */
export function isPlainAddress(text: string): boolean {
  if (text.length > 254) return false
  const at = text.lastIndexOf('@')
  if (at < 1 || at > 64 || !localPart.test(text.slice(0, at))) return false
  const domain = text.slice(at + 1)
  return domain.split('.').every((label) => label.length <= 63 && domainLabel.test(label))
}

/** A header value without quoted strings and comments (RFC 5322 §3.2.2, §3.2.4): a mark stays in the place of
 *  each quoted string. Null when one of them is not closed. */
function withoutQuotesAndComments(value: string): string | null {
  let plain = ''
  let depth = 0
  let quoted = false
  for (let i = 0; i < value.length; i++) {
    const character = value.charAt(i)
    if (character === '\\' && (quoted || depth > 0)) i++
    else if (quoted) quoted = character !== '"'
    else if (character === '"' && depth === 0) {
      quoted = true
      plain += '\u0001'
    } else if (character === '(') depth++
    else if (character === ')' && depth > 0) depth--
    else if (depth === 0) plain += character
  }
  return quoted || depth > 0 ? null : plain
}

/** The address of a field that holds exactly one mailbox, with or without a name; null for anything else. */
export function singleAddressOf(value: string): string | null {
  const plain = withoutQuotesAndComments(value)?.trim()
  if (plain === undefined || plain === '') return null
  const inBrackets = /^[^<>@,;:]*<\s*([^<>\s]+)\s*>$/.exec(plain)
  const address = inBrackets?.[1] ?? plain
  return isPlainAddress(address) ? address : null
}

/** All plain addresses of a To-like field, names and groups left out; at most `limit`. */
export function addressesOf(value: string, limit = 100): string[] {
  const plain = withoutQuotesAndComments(value)
  if (plain === null) return []
  const found: string[] = []
  for (const piece of plain.split(/[,;:<>\s]+/)) {
    if (found.length >= limit) break
    if (piece.includes('@') && isPlainAddress(piece)) found.push(piece)
  }
  return found
}
