// The packets of checks and links in a TCP connection:
//
//      0           2
//      +-----------+--------------------------+
//      | length    | packet (1..1472 bytes)   |
//      +-----------+--------------------------+
//
// A length beyond that ends the connection: nothing after it can be trusted to begin anywhere.

import { viewOf } from '../base/bytes.ts'
import { MessageSplitter } from '../base/message-splitter.ts'
import { maxPacketBytes } from './mtu-discovery.ts'

const headBytes = 2
export const maxFramedBytes = Math.max(...Object.values(maxPacketBytes))

export function framePacket(packet: Uint8Array): Uint8Array {
  const framed = new Uint8Array(headBytes + packet.length)
  viewOf(framed).setUint16(0, packet.length)
  framed.set(packet, headBytes)
  return framed
}

export class PacketReader {
  readonly #splitter = new MessageSplitter(headBytes, (head) => {
    const length = viewOf(head).getUint16(0)
    return length > 0 && length <= maxFramedBytes ? headBytes + length : null
  })

  /** The packets that are whole now. Null once a length was wrong. */
  push(bytes: Uint8Array): readonly Uint8Array[] | null {
    return this.#splitter.push(bytes)?.map((framed) => framed.subarray(headBytes)) ?? null
  }
}
