// What the address server says to a datagram: where it came from (mission C1), and from another of its own places if
// that was wished for (RFC 5780). Keeps nothing.

import type { Endpoint } from '../base/endpoint.ts'
import { decodeStun, encodeError, encodeSuccess, type StunRequest } from '../nat/stun.ts'
import { attribute } from '../nat/stun-attributes.ts'
import { moved, type Square } from './square.ts'

/** A datagram with its way, in either direction. */
export type Packet = { readonly from: Endpoint; readonly to: Endpoint; readonly bytes: Uint8Array }

/** Payload of the largest answer: four IPv6 addresses (RFC 5780 §6.1). Everything else is smaller. */
export const maxAnswerBytes = 116

/** RFC 8489 §6.3.1: a request with attributes we must understand and do not, or cannot satisfy. */
const unknownAttribute = 420
/** Named in the error; a request that has more is not honest. */
const maxNamed = 4

/**
 * Null for whatever is not a sound Binding request: no answer, so that nobody can be flooded with our errors. An
 * answer always goes to the address that the request came from; its `from` is one of our places. `square`: the one
 * that the request's `to` is a corner of, if any. RESPONSE-PORT is obeyed by either (RFC 5780 §5).
 */
export function answerRequest(packet: Packet, square: Square | null): Packet | null {
  const decoding = decodeStun(packet.bytes)
  if (!decoding.ok || decoding.message.type !== 'request') return null
  const request = decoding.message
  const { transactionId, change, responsePort } = request
  const refused = refusedIn(request, square)
  if (refused.length > 0) {
    // Back to where the request came from, as if it had no wishes: whoever sent it must learn that we know none.
    return { from: packet.to, to: packet.from, bytes: encodeError(transactionId, unknownAttribute, refused) }
  }
  const to = { address: packet.from.address, port: responsePort ?? packet.from.port }
  // Less than RFC 5780 §6.1 wants: with one address its attributes would say nothing and make the answer longer.
  if (!square) return { from: packet.to, to, bytes: encodeSuccess({ transactionId, mapped: packet.from }) }
  const responseOrigin = change ? moved(square, packet.to, change) : packet.to
  const otherAddress = moved(square, packet.to, { address: true, port: true })
  const success = { transactionId, mapped: packet.from, responseOrigin, otherAddress }
  return { from: responseOrigin, to, bytes: encodeSuccess(success, { unmasked: true }) }
}

function refusedIn({ unknownRequired, change }: StunRequest, square: Square | null): number[] {
  // RFC 5780 §6: without two addresses that have the same two ports, CHANGE-REQUEST counts as unknown.
  const impossible = change && !square ? [attribute.changeRequest] : []
  return [...impossible, ...unknownRequired].slice(0, maxNamed)
}
