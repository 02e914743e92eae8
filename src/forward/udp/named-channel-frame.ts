// The frame of a datagram for a named channel (docs/library.md) inside a link datagram.
//
//      0        1          2
//      +--------+----------+------------------+--------------------------+
//      | kind 9 |  length  |  name (1..32)    |  payload (0..65000)      |
//      +--------+----------+------------------+--------------------------+
//
// The name is ASCII. Every datagram has it, so the two sides need no setup that could be lost.

const channelKind = 9
const headerBytes = 2
const namePattern = /^[a-zA-Z0-9._-]{1,32}$/

/** A frame with the longest name still fits in the largest datagram of a link. */
export const maxChannelBytes = 65_000

type NamedFrame = { readonly name: string; readonly payload: Uint8Array }

export function isServiceName(name: string): boolean {
  return namePattern.test(name)
}

export function isNamedFrame(bytes: Uint8Array): boolean {
  return bytes[0] === channelKind
}

/** The name must be valid. The payload has at most `maxChannelBytes`. */
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
  const name = decodeName(bytes.subarray(headerBytes, end))
  return name === null ? null : { name, payload: bytes.subarray(end) }
}

/** Decodes a name. Null if it is not valid. */
export function decodeName(bytes: Uint8Array): string | null {
  if (bytes.length > 32) return null
  const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  return isServiceName(name) ? name : null
}
