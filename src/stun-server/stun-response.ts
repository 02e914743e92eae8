// What the address server says to a datagram: where it came from (C1), and from another of its own places if
// that was wished for (RFC 5780). Keeps nothing.

import type { Endpoint } from '../base/endpoint.ts'
import { attribute } from '../nat/stun-attributes.ts'
import { decodeStun, encodeError, encodeSuccess, type StunRequest } from '../nat/stun-message.ts'
import { type AlternateAddresses, moved } from './alternate-addresses.ts'

/** A datagram with its way, in either direction. */
export type Packet = { readonly from: Endpoint; readonly to: Endpoint; readonly bytes: Uint8Array }

/** RFC 8489 §6.3.1: a request with attributes we must understand and do not, or cannot satisfy. */
const unknownAttribute = 420
/** Named in the error; a request that has more is not honest. */
const maxNamed = 4

/** Null for whatever is not a sound Binding request: it gets no answer, so that nobody is flooded with our errors. */
export function readRequest(bytes: Uint8Array): StunRequest | null {
  const decoding = decodeStun(bytes)
  return decoding.ok && decoding.message.type === 'request' ? decoding.message : null
}

/** Where a request came from, and to which of our places. */
export type Way = { readonly from: Endpoint; readonly to: Endpoint }

/**
 * Always goes to the address that the request came from; its `from` is one of our places. `square`: the one that the
 * request's `to` is a corner of, if any. RESPONSE-PORT is obeyed with and without (RFC 5780 §5).
 */
export function answerTo(request: StunRequest, { from, to }: Way, square: AlternateAddresses | null): Packet {
  const { transactionId, change, responsePort } = request
  const refused = refusedIn(request, square)
  if (refused.length > 0) {
    // Back to where the request came from, as if it had no wishes: whoever sent it must learn that we know none.
    return { from: to, to: from, bytes: encodeError(transactionId, unknownAttribute, refused) }
  }
  const goal = { address: from.address, port: responsePort ?? from.port }
  // Less than RFC 5780 §6.1 wants: with one address its attributes would say nothing and make the answer longer.
  if (!square) return { from: to, to: goal, bytes: encodeSuccess({ transactionId, mapped: from }) }
  const responseOrigin = change ? moved(square, to, change) : to
  const otherAddress = moved(square, to, { address: true, port: true })
  const success = { transactionId, mapped: from, responseOrigin, otherAddress }
  return { from: responseOrigin, to: goal, bytes: encodeSuccess(success, { unmasked: true }) }
}

function refusedIn({ unknownRequired, change }: StunRequest, square: AlternateAddresses | null): number[] {
  // RFC 5780 §6: without two addresses that have the same two ports, CHANGE-REQUEST counts as unknown.
  const impossible = change && !square ? [attribute.changeRequest] : []
  return [...impossible, ...unknownRequired].slice(0, maxNamed)
}
