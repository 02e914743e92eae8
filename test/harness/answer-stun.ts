// The address server's answer to one datagram, without sockets and rate limits.

import type { AlternateAddresses } from '../../src/stun-server/alternate-addresses.ts'
import { buildResponse, type Packet, readRequest } from '../../src/stun-server/stun-response.ts'

/** Payload of the largest answer: it has four IPv6 addresses (RFC 5780 §6.1). */
export const maxAnswerBytes = 116

/** Null when the datagram gets no answer. */
export function answerRequest(
  { from, to, bytes }: Packet,
  alternates: AlternateAddresses | null,
): Packet | null {
  const request = readRequest(bytes)
  return request && buildResponse(request, { from, to }, alternates)
}
