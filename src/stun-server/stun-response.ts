// The response of the address server: the endpoint that the request came from (C1). With alternate addresses the response
// may come from another endpoint than the request went to (RFC 5780). Nothing is stored.

import type { Endpoint } from '../base/endpoint.ts'
import { attribute } from '../nat/stun-attributes.ts'
import { decodeStun, encodeError, encodeSuccess, type StunRequest } from '../nat/stun-message.ts'
import { type AlternateAddresses, changedEndpoint } from './alternate-addresses.ts'

export type PacketHeader = { readonly from: Endpoint; readonly to: Endpoint }

export type Packet = PacketHeader & { readonly bytes: Uint8Array }

/** RFC 8489 §6.3.1: the request has comprehension-required attributes that we do not know, or cannot satisfy. */
const unknownAttributeError = 420
/** How many of them the error lists. No honest request has more. */
const maxUnknownListed = 4

/** Null for anything but a valid Binding request. It gets no answer, so that our errors cannot flood a forged source. */
export function readRequest(bytes: Uint8Array): StunRequest | null {
  const decoding = decodeStun(bytes)
  return decoding.ok && decoding.message.type === 'request' ? decoding.message : null
}

/**
 * `to` of the request is one of our endpoints; `alternates` are the four it belongs to, or null. The response always goes to
 * the address that the request came from. RESPONSE-PORT is obeyed with and without alternates (RFC 5780 §5).
 */
export function buildResponse(
  request: StunRequest,
  { from, to }: PacketHeader,
  alternates: AlternateAddresses | null,
): Packet {
  const { transactionId, change, responsePort } = request
  const unknown = unknownAttributes(request, alternates)
  if (unknown.length > 0) {
    // Neither CHANGE-REQUEST nor RESPONSE-PORT is obeyed here, so that the error surely reaches the sender.
    return { from: to, to: from, bytes: encodeError(transactionId, unknownAttributeError, unknown) }
  }
  const target = { address: from.address, port: responsePort ?? from.port }
  // RFC 5780 §6.1 asks for more attributes. With one address they say nothing and make the answer longer.
  if (!alternates) return { from: to, to: target, bytes: encodeSuccess({ transactionId, mapped: from }) }
  const responseOrigin = change ? changedEndpoint(alternates, to, change) : to
  const otherAddress = changedEndpoint(alternates, to, { address: true, port: true })
  const success = { transactionId, mapped: from, responseOrigin, otherAddress }
  return { from: responseOrigin, to: target, bytes: encodeSuccess(success, { unmasked: true }) }
}

function unknownAttributes(
  { unknownRequired, change }: StunRequest,
  alternates: AlternateAddresses | null,
): number[] {
  // RFC 5780 §6: a server without alternate addresses treats CHANGE-REQUEST as unknown.
  const unsupported = change && !alternates ? [attribute.changeRequest] : []
  return [...unsupported, ...unknownRequired].slice(0, maxUnknownListed)
}
