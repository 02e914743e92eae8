// What a link datagram carries for a channel of the programs at both ends (docs/library.md).
//
//      0        1          2
//      +--------+----------+------------------+--------------------------+
//      | kind 9 |  length  |  name (1..32)    |  payload (0..65000)      |
//      +--------+----------+------------------+--------------------------+
//
// The name is ASCII. It stands in every datagram, so that nothing has to be agreed on, or lost, beforehand.

const channelKind = 9
const headerBytes = 2
const nameForm = /^[a-zA-Z0-9._-]{1,32}$/

/** With the longest name it still fits in a link's largest datagram. */
export const maxChannelBytes = 65_000

type NamedFrame = { readonly name: string; readonly payload: Uint8Array }

export function isServiceName(name: string): boolean {
  return nameForm.test(name)
}

export function isNamedFrame(bytes: Uint8Array): boolean {
  return bytes[0] === channelKind
}

/** The name is one, the payload at most `maxChannelBytes`. */
export function encodeNamedFrame({ name, payload }: NamedFrame): Uint8Array {
  const bytes = new Uint8Array(headerBytes + name.length + payload.length)
  bytes[0] = channelKind
  bytes[1] = name.length
  Buffer.from(bytes.buffer).write(name, headerBytes, 'latin1')
  bytes.set(payload, headerBytes + name.length)
  return bytes
}

/** Null for anything else. The payload is a view of `bytes`. */
export function decodeNamedFrame(bytes: Uint8Array): NamedFrame | null {
  const end = headerBytes + (bytes[1] ?? 0)
  if (bytes[0] !== channelKind || bytes.length < end || bytes.length > end + maxChannelBytes) return null
  const name = nameIn(bytes.subarray(headerBytes, end))
  return name === null ? null : { name, payload: bytes.subarray(end) }
}

/** The name that these bytes are; null if they are none. */
export function nameIn(bytes: Uint8Array): string | null {
  if (bytes.length > 32) return null
  const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  return isServiceName(name) ? name : null
}
