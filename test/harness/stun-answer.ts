// What the address server answers to a datagram, without its limits.

import type { AlternateAddresses } from '../../src/stun-server/alternate-addresses.ts'
import { answerTo, type Packet, readRequest } from '../../src/stun-server/stun-response.ts'

/** Payload of the largest answer: four IPv6 addresses (RFC 5780 §6.1). Everything else is smaller. */
export const maxAnswerBytes = 116

/** Null where nothing is answered. */
export function answerRequest({ from, to, bytes }: Packet, square: AlternateAddresses | null): Packet | null {
  const request = readRequest(bytes)
  return request && answerTo(request, { from, to }, square)
}
