// The packet format of udx-native on its socket (libudx, src/udx.c):
//
//      0      1      2      3         4        8        12       16       20
//      +------+------+------+---------+--------+--------+--------+--------+-----------------------------+
//      | 0xFF | 0x01 | type | padding | id (4) | window | seq    | ack    | padding, then payload       |
//      +------+------+------+---------+--------+--------+--------+--------+-----------------------------+
//
// Little-endian. Only data, state and selective acknowledgements are relayed. Our own frames open and end streams, and
// the other types (end, message, destroy, heartbeat) would only give an attacker more options.

import { BufferPool } from '../../base/buffer-pool.ts'
import { viewOf } from '../../base/bytes.ts'
import type { UdxPacket } from './stream-frame.ts'

export const udxTypes = { state: 0, data: 1, selective: 4 } as const

const magic = 0xff
const version = 1
const headerBytes = 20
/** The value that udx-native always sends. Our own flow control is in flow-control-records.ts. */
const window = 4 * 1024 * 1024

/** Null for a packet that must not be relayed. The payload is a view of `bytes`. */
export function readUdxPacket(bytes: Uint8Array): { readonly id: number; readonly packet: UdxPacket } | null {
  if (bytes.length < headerBytes || bytes[0] !== magic || bytes[1] !== version) return null
  const type = bytes[2] as number
  if (type !== udxTypes.state && type !== udxTypes.data && type !== udxTypes.selective) return null
  const view = viewOf(bytes)
  const packet = {
    type,
    padding: bytes[3] as number,
    seq: view.getUint32(12, true),
    ack: view.getUint32(16, true),
    payload: bytes.subarray(headerBytes),
  }
  return { id: view.getUint32(4, true), packet }
}

export class UdxPacketWriter {
  readonly #bufferPool = new BufferPool()

  write(id: number, { type, padding, seq, ack, payload }: UdxPacket): Uint8Array {
    const bytes = this.#bufferPool.take(headerBytes + payload.length)
    const view = viewOf(bytes)
    bytes[0] = magic
    bytes[1] = version
    bytes[2] = type
    bytes[3] = padding
    view.setUint32(4, id, true)
    view.setUint32(8, window, true)
    view.setUint32(12, seq, true)
    view.setUint32(16, ack, true)
    bytes.set(payload, headerBytes)
    return bytes
  }
}
