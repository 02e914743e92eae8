// What a link datagram carries for the forwarder.
//
//      0        1                 3                 5
//      +--------+-----------------+-----------------+--------------------------+
//      |  kind  |  target port    |  flow           |  payload (0..65507)       |
//      +--------+-----------------+-----------------+--------------------------+
//      kind 1 to-game    to the port that the receiver exposes
//      kind 2 from-game  back to whom the flow belongs; same target port and flow as on the way there
//
// Numbers are big-endian. A flow is one local client of the side that sends kind 1, which numbers it.

import { viewOf } from '../base/bytes.ts'

const headerBytes = 5

/** The largest payload of UDP over IPv4. A link carries what is larger than its packets in parts. */
export const maxPayloadBytes = 65_507

export type Frame = {
  readonly kind: 'to-game' | 'from-game'
  /** 1..65535, as the exposing side knows it. */
  readonly port: number
  /** 0..65535. */
  readonly flow: number
  readonly payload: Uint8Array
}

/** The payload is at most `maxPayloadBytes`. */
export function encodeFrame({ kind, port, flow, payload }: Frame): Uint8Array {
  const bytes = new Uint8Array(headerBytes + payload.length)
  const view = viewOf(bytes)
  view.setUint8(0, kind === 'to-game' ? 1 : 2)
  view.setUint16(1, port)
  view.setUint16(3, flow)
  bytes.set(payload, headerBytes)
  return bytes
}

/** Null for anything else, kinds of later versions among it. The payload is a view of `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame | null {
  if (bytes.length < headerBytes || bytes.length > headerBytes + maxPayloadBytes) return null
  if (bytes[0] !== 1 && bytes[0] !== 2) return null
  const view = viewOf(bytes)
  const port = view.getUint16(1)
  if (port === 0) return null
  const kind = bytes[0] === 1 ? 'to-game' : 'from-game'
  return { kind, port, flow: view.getUint16(3), payload: bytes.subarray(headerBytes) }
}
