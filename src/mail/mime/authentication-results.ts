// The Authentication-Results field (RFC 8601), read strictly: whatever is not exactly by its grammar counts as nothing.
// Which field may be believed is not decided here.

/** What is longer is not read. Servers write some hundred characters. */
const longestField = 4_096
const mostResults = 32
const deepestComment = 8

type AuthenticationResult = {
  /** Lower case, such as `dmarc`. */
  readonly method: string
  /** Lower case, such as `pass`. */
  readonly result: string
  /** By `ptype.property`, lower case, such as `header.from`. */
  readonly properties: ReadonlyMap<string, string>
}

export type AuthenticationResults = {
  /** Lower case. */
  readonly authservId: string
  readonly results: readonly AuthenticationResult[]
}

type Token = { readonly type: 'word' | 'quoted' | '=' | ';'; readonly text: string }

/** `value`: of the field, unfolded. Null for whatever is not by the grammar of §2.2. Never throws. */
export function readAuthenticationResults(value: string): AuthenticationResults | null {
  const tokens = value.length > longestField ? null : tokensOf(value)
  if (!tokens) return null
  const parts = partsOf(tokens)
  const [head = [], ...rest] = parts
  // A version other than 1 may mean anything else.
  const [id, version, ...more] = head
  if (!id || id.type === '=' || more.length > 0 || (version && version.text !== '1')) return null
  // A semicolon at the end is against the grammar and common.
  if (rest.at(-1)?.length === 0) rest.pop()
  if (rest.length === 0 || rest.length > mostResults) return null
  const authservId = id.text.toLowerCase()
  const [only] = rest
  if (rest.length === 1 && only?.length === 1 && isWord(only[0], 'none')) return { authservId, results: [] }
  const results = rest.map(resultOf)
  return results.every((result) => result !== null) ? { authservId, results } : null
}

/** `method[/version] = result [reason = value] {ptype.property = value}` */
function resultOf(tokens: readonly Token[]): AuthenticationResult | null {
  if (tokens.length === 0 || tokens.length % 3 !== 0) return null
  const pairs = Array.from({ length: tokens.length / 3 }, (_, at) => tokens.slice(at * 3, at * 3 + 3))
  const properties = new Map<string, string>()
  let method = ''
  let result = ''
  for (const [at, [name, equals, value]] of pairs.entries()) {
    if (name?.type !== 'word' || equals?.type !== '=' || !value || !isValue(value)) return null
    const key = name.text.toLowerCase()
    if (at === 0) {
      if (!/^[a-z0-9-]+(?:\/1)?$/.test(key)) return null
      method = key.replace(/\/1$/, '')
      result = value.text.toLowerCase()
    } else if (key !== 'reason') {
      // A property that is told twice tells nothing.
      if (!/^[a-z0-9-]+\.[a-z0-9-]+$/.test(key) || properties.has(key)) return null
      properties.set(key, value.text)
    }
  }
  return { method, result, properties }
}

function isValue({ type }: Token): boolean {
  return type === 'word' || type === 'quoted'
}

function isWord(token: Token | undefined, text: string): boolean {
  return token?.type === 'word' && token.text.toLowerCase() === text
}

function partsOf(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  for (const token of tokens) {
    if (token.type === ';') parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

/** Without comments and white space; null where a quoted string or a comment does not end. */
function tokensOf(value: string): Token[] | null {
  const tokens: Token[] = []
  let at = 0
  while (at < value.length) {
    const character = value.charAt(at)
    if (/\s/.test(character)) at++
    else if (character === '(') {
      const end = commentEnd(value, at)
      if (end === null) return null
      at = end
    } else if (character === ';' || character === '=') {
      tokens.push({ type: character, text: character })
      at++
    } else if (character === '"') {
      const quoted = /"((?:[^"\\]|\\.)*)"/y
      quoted.lastIndex = at
      const [whole, text] = quoted.exec(value) ?? []
      if (whole === undefined || text === undefined) return null
      tokens.push({ type: 'quoted', text: text.replace(/\\(.)/g, '$1') })
      at += whole.length
    } else {
      const word = /[^\s()";=]+/y
      word.lastIndex = at
      const [text] = word.exec(value) ?? []
      // A closing parenthesis that none opened.
      if (text === undefined) return null
      tokens.push({ type: 'word', text })
      at += text.length
    }
  }
  return tokens
}

/** The index after the comment that begins at `start` (RFC 5322 §3.2.2). */
function commentEnd(value: string, start: number): number | null {
  let depth = 0
  for (let at = start; at < value.length; at++) {
    const character = value.charAt(at)
    if (character === '\\') at++
    else if (character === '(' && ++depth > deepestComment) return null
    else if (character === ')' && --depth === 0) return at + 1
  }
  return null
}
