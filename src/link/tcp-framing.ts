// Check packets and link packets inside a TCP connection:
//
//      0           2
//      +-----------+--------------------------+
//      | length    | packet (1..1472 bytes)   |
//      +-----------+--------------------------+
//
// Any other length ends the connection: the start of the next packet is then unknown.

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

  /** The packets completed by these bytes. Null once a length was wrong. */
  push(bytes: Uint8Array): readonly Uint8Array[] | null {
    return this.#splitter.push(bytes)?.map((framed) => framed.subarray(headBytes)) ?? null
  }
}
