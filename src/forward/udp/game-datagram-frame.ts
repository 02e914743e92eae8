// The frame of one forwarded UDP datagram inside a link datagram.
//
//      0        1                 3                 5
//      +--------+-----------------+-----------------+--------------------------+
//      |  kind  |  target port    |  flow           |  payload (0..65507)       |
//      +--------+-----------------+-----------------+--------------------------+
//      kind 1 to-game    to the port that the receiver exposes
//      kind 2 from-game  back to the owner of the flow, with the same target port and flow as in kind 1
//
// Numbers are big-endian. A flow is one local client of the side that sends kind 1. That side chooses its number.

import type { BufferPool } from '../../base/buffer-pool.ts'

const headerBytes = 5

/** The largest payload of UDP over IPv4. A link sends a datagram larger than its packets in fragments. */
export const maxPayloadBytes = 65_507

export type Frame = {
  readonly kind: 'to-game' | 'from-game'
  /** 1..65535, on the exposing side. */
  readonly port: number
  /** 0..65535. */
  readonly flow: number
  readonly payload: Uint8Array
}

/** Uses memory of `bufferPool` if given. The payload has at most `maxPayloadBytes`. */
export function encodeFrame({ kind, port, flow, payload }: Frame, bufferPool?: BufferPool): Uint8Array {
  const length = headerBytes + payload.length
  const bytes = bufferPool?.take(length) ?? new Uint8Array(length)
  bytes[0] = kind === 'to-game' ? 1 : 2
  bytes[1] = port >> 8
  bytes[2] = port
  bytes[3] = flow >> 8
  bytes[4] = flow
  bytes.set(payload, headerBytes)
  return bytes
}

/** Null for anything else, including kinds of later versions. The payload is a view of `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame | null {
  if (bytes.length < headerBytes || bytes.length > headerBytes + maxPayloadBytes) return null
  if (bytes[0] !== 1 && bytes[0] !== 2) return null
  const port = numberAt(bytes, 1)
  if (port === 0) return null
  const kind = bytes[0] === 1 ? 'to-game' : 'from-game'
  return { kind, port, flow: numberAt(bytes, 3), payload: bytes.subarray(headerBytes) }
}

function numberAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}
