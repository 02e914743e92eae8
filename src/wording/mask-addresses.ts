// Masks addresses and keys in texts that other people may see, such as logs and status pages.

import { canonicalAddress, type Endpoint, familyOf } from '../base/endpoint.ts'

const mailAddress = /[^\s<>@"'(),;:]+@[^\s<>@"'(),;:]+/g
const fourParts = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)/g
const sixParts = /(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])/gi
/** User IDs and other keys: at least 32 bytes in base32. */
const key = /\b[a-z2-7]{52,}\b/gi

/** Returns `198.51.…` or `2001:db8:…`, which is enough to distinguish networks. */
function maskAddress(address: string): string {
  const isSix = familyOf(address) === 6
  const [first = '', second = ''] = address.split(isSix ? ':' : '.')
  return isSix ? `${first}:${second}:…` : `${first}.${second}.…`
}

export function maskEndpoint({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${maskAddress(address)}]:${port}` : `${maskAddress(address)}:${port}`
}

/** Masks everything in the text that looks like a mail address, an IP address or a key. */
export function maskText(text: string): string {
  return text
    .replace(mailAddress, (address) => `${[...address][0]}…${address.slice(address.lastIndexOf('@'))}`)
    .replace(sixParts, (found) => (canonicalAddress(found)?.includes(':') ? maskAddress(found) : found))
    .replace(fourParts, (found) => maskAddress(found))
    .replace(key, (found) => `${found.slice(0, 8)}…`)
}

/** Returns a copy in which every text is masked, at any depth. The copy is made with JSON. */
export function maskTexts<Value>(value: Value): Value {
  const text = JSON.stringify(value, (_, field: unknown) =>
    typeof field === 'string' ? maskText(field) : field,
  )
  return text === undefined ? value : (JSON.parse(text) as Value)
}
