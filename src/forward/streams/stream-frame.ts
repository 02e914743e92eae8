// The frames of TCP streams inside link datagrams (docs/protocol.md). A stream has a random number chosen by the
// forwarding side, where the TCP client is. The number is valid for one pair of peers and one role only.
//
//      0        1            5
//      +--------+------------+---------------------------------------------------------------------------------+
//      |  kind  | number (4) |  what follows depends on the kind                                               |
//      +--------+------------+---------------------------------------------------------------------------------+
//      kind 3 packet, to the exposing side    kind 4 packet, to the forwarding side
//               type (1), padding (1, only where the top bit of type is set), sequence (4), acknowledged (4), payload
//      kind 5 open     target port (2), first sequence (4) of the forwarding side
//      kind 10 open by name  first sequence (4) of the forwarding side, name (1..32)
//      kind 6 opened   first sequence (4) of the exposing side
//      kind 7 end, to the exposing side       kind 8 end, to the forwarding side: reason (1)
//
// Numbers are big-endian. A packet is one of udx-native (udx-packet.ts) without the fields that both sides know. So the
// smallest packet size of udx-native, 1,200 bytes, fits in the smallest packet of a link.

import { viewOf } from '../../base/bytes.ts'
import { decodeName } from '../udp/named-channel-frame.ts'

/** The receiving side: `exposing` has the TCP server, `forwarding` has the TCP client. */
export type Towards = 'exposing' | 'forwarding'

export const endReasons = {
  /** Both directions have ended and all data has arrived. */
  done: 1,
  /** The TCP connection failed. */
  reset: 2,
  'not-exposed': 3,
  /** No program listens on the exposed port. */
  refused: 4,
  /** A limit on streams was reached. */
  busy: 5,
  /** There is no such stream, or it is over. */
  unknown: 6,
} as const
export type EndReason = keyof typeof endReasons

export type UdxPacket = {
  /** The packet type of udx: state 0, data 1, selective acknowledgements 4. */
  readonly type: number
  /** Padding bytes at the start of the payload, used in MTU probes. */
  readonly padding: number
  readonly seq: number
  readonly ack: number
  readonly payload: Uint8Array
}

export type StreamFrame =
  | {
      readonly kind: 'packet'
      readonly towards: Towards
      readonly number: number
      readonly packet: UdxPacket
    }
  | { readonly kind: 'open'; readonly number: number; readonly port: number; readonly seq: number }
  | { readonly kind: 'open-named'; readonly number: number; readonly name: string; readonly seq: number }
  | { readonly kind: 'opened'; readonly number: number; readonly seq: number }
  | { readonly kind: 'end'; readonly towards: Towards; readonly number: number; readonly reason: EndReason }

const kinds = {
  packet: { exposing: 3, forwarding: 4 },
  open: 5,
  opened: 6,
  end: { exposing: 7, forwarding: 8 },
  openNamed: 10,
}
const paddedBit = 0x80
/** The size of the header of a packet without padding. */
const packetHeaderBytes = 14

export function isStreamFrame(bytes: Uint8Array): boolean {
  const kind = bytes[0] ?? 0
  return (kind >= kinds.packet.exposing && kind <= kinds.end.forwarding) || kind === kinds.openNamed
}

export function encodeStreamFrame(frame: StreamFrame): Uint8Array {
  switch (frame.kind) {
    case 'packet':
      return encodePacket(kinds.packet[frame.towards], frame.number, frame.packet)
    case 'open': {
      const view = start(kinds.open, frame.number, 11)
      view.setUint16(5, frame.port)
      view.setUint32(7, frame.seq)
      return bytesOf(view)
    }
    case 'open-named': {
      const view = start(kinds.openNamed, frame.number, 9 + frame.name.length)
      view.setUint32(5, frame.seq)
      const bytes = bytesOf(view)
      Buffer.from(bytes.buffer).write(frame.name, 9, 'latin1')
      return bytes
    }
    case 'opened': {
      const view = start(kinds.opened, frame.number, 9)
      view.setUint32(5, frame.seq)
      return bytesOf(view)
    }
    case 'end': {
      const view = start(kinds.end[frame.towards], frame.number, 6)
      view.setUint8(5, endReasons[frame.reason])
      return bytesOf(view)
    }
  }
}

/** Null for anything else. A payload is a view of `bytes`. */
export function decodeStreamFrame(bytes: Uint8Array): StreamFrame | null {
  if (bytes.length < 6) return null
  const view = viewOf(bytes)
  const number = view.getUint32(1)
  switch (bytes[0]) {
    case kinds.packet.exposing:
      return decodePacket('exposing', number, bytes)
    case kinds.packet.forwarding:
      return decodePacket('forwarding', number, bytes)
    case kinds.open: {
      if (bytes.length !== 11) return null
      const port = view.getUint16(5)
      return port === 0 ? null : { kind: 'open', number, port, seq: view.getUint32(7) }
    }
    case kinds.openNamed: {
      const name = bytes.length > 9 ? decodeName(bytes.subarray(9)) : null
      return name === null ? null : { kind: 'open-named', number, name, seq: view.getUint32(5) }
    }
    case kinds.opened:
      return bytes.length === 9 ? { kind: 'opened', number, seq: view.getUint32(5) } : null
    case kinds.end.exposing:
    case kinds.end.forwarding: {
      const reason = bytes.length === 6 ? reasonOf(bytes[5]) : null
      const towards = bytes[0] === kinds.end.exposing ? 'exposing' : 'forwarding'
      return reason && { kind: 'end', towards, number, reason }
    }
    default:
      return null
  }
}

function encodePacket(kind: number, number: number, packet: UdxPacket): Uint8Array {
  const { type, padding, seq, ack, payload } = packet
  const padded = padding > 0 ? 1 : 0
  const view = start(kind, number, packetHeaderBytes + padded + payload.length)
  view.setUint8(5, padded ? type | paddedBit : type)
  if (padded) view.setUint8(6, padding)
  view.setUint32(6 + padded, seq)
  view.setUint32(10 + padded, ack)
  const bytes = bytesOf(view)
  bytes.set(payload, packetHeaderBytes + padded)
  return bytes
}

function decodePacket(towards: Towards, number: number, bytes: Uint8Array): StreamFrame | null {
  const first = bytes[5] as number
  const padded = first & paddedBit ? 1 : 0
  const headerBytes = packetHeaderBytes + padded
  if (bytes.length < headerBytes) return null
  const view = viewOf(bytes)
  const packet = {
    type: first & ~paddedBit,
    padding: padded ? (bytes[6] as number) : 0,
    seq: view.getUint32(6 + padded),
    ack: view.getUint32(10 + padded),
    payload: bytes.subarray(headerBytes),
  }
  return { kind: 'packet', towards, number, packet }
}

function start(kind: number, number: number, length: number): DataView {
  const view = new DataView(new ArrayBuffer(length))
  view.setUint8(0, kind)
  view.setUint32(1, number)
  return view
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer)
}

function reasonOf(byte: number | undefined): EndReason | null {
  for (const [reason, code] of Object.entries(endReasons)) if (code === byte) return reason as EndReason
  return null
}
