// Addresses and keys made unrecognisable in what others may see over somebody's shoulder.

import { canonicalAddress, type Endpoint, familyOf } from '../base/endpoint.ts'

const mailAddress = /[^\s<>@"'(),;:]+@[^\s<>@"'(),;:]+/g
const fourParts = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/g
const sixParts = /(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])/gi
/** User IDs and other keys: 32 bytes in base32, or more. */
const key = /\b[a-z2-7]{52,}\b/gi

/** `198.51.…`, `2001:db8:…`: enough to tell networks apart. */
export function maskAddress(address: string): string {
  const isSix = familyOf(address) === 6
  const [first = '', second = ''] = address.split(isSix ? ':' : '.')
  return isSix ? `${first}:${second}:…` : `${first}.${second}.…`
}

export function maskEndpoint({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${maskAddress(address)}]:${port}` : `${maskAddress(address)}:${port}`
}

/** Whatever in the text looks like a mail address, an IP address or a key. */
export function maskText(text: string): string {
  return text
    .replace(mailAddress, (address) => `${[...address][0]}…${address.slice(address.lastIndexOf('@'))}`)
    .replace(sixParts, (part) => (canonicalAddress(part)?.includes(':') ? maskAddress(part) : part))
    .replace(fourParts, (part) => maskAddress(part))
    .replace(key, (part) => `${part.slice(0, 8)}…`)
}

/** A copy with every text in it masked, at any depth; what JSON cannot hold is gone. */
export function maskTexts<Value>(value: Value): Value {
  const text = JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? maskText(part) : part))
  return text === undefined ? value : (JSON.parse(text) as Value)
}
