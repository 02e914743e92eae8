// Encodes a letter as its CBOR body and decodes it. The signature covers the body.

import { type Candidate, encodeEndpoint } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import { Problem } from '../base/problem.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { candidateNames, letterSchemas, protocolVersion } from './letter-schema.ts'
import type {
  Comparison,
  Grant,
  Letter,
  LetterKind,
  OfferedPeer,
  RequestLetter,
  Session,
} from './letter-types.ts'
import { limits } from './limits.ts'
import { type Refused, refuse } from './refusal.ts'

type Decoded = { readonly ok: true; readonly letter: Letter }

/** Deterministic. Throws a Problem (`internal`) if the letter exceeds `limits`, as no reader would accept it. */
export function encodeLetter(letter: Letter): Uint8Array {
  const wire = {
    v: protocolVersion,
    kind: letter.kind,
    from: letter.from,
    to: letter.to,
    id: letter.id,
    sent: letter.sentAt,
    ...fieldsOf(letter),
  }
  const checked = letterSchemas[letter.kind].safeParse(wire)
  if (!checked.success) {
    const where = checked.error.issues[0]?.path.join('.')
    throw new Problem('internal', `A ${letter.kind} letter has a bad field: ${where}.`, 'Please report this.')
  }
  const body = encodeCbor(wire)
  if (body.length > limits.bodyBytes) {
    throw new Problem('internal', `A ${letter.kind} letter is too long.`, 'Please report this.')
  }
  return body
}

/** Never throws. The letter shares no memory with `body` and has only the fields that letter-types.ts names. */
export function decodeLetter(body: Uint8Array): Decoded | Refused {
  if (body.length > limits.bodyBytes) return refuse('too-big')
  const wire = decodeCbor(body)
  if (!isRecord(wire)) return refuse('malformed')
  const { v, kind } = wire
  if (v !== protocolVersion) return refuse(Number.isInteger(v) ? 'unknown-version' : 'malformed')
  if (!isLetterKind(kind)) return refuse('malformed')
  const read = letterSchemas[kind].safeParse(wire)
  return read.success ? { ok: true, letter: read.data } : refuse('malformed')
}

/**
 * The content of a request, without the fields that differ from host to host. If an agent signed two requests at the same
 * millisecond, hosts that exchange tables compare these bytes to decide which one counts.
 */
export function requestContent(letter: RequestLetter): Uint8Array {
  const { proof, ...content } = fieldsOf(letter)
  return encodeCbor(content)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

function isLetterKind(kind: unknown): kind is LetterKind {
  return typeof kind === 'string' && Object.hasOwn(letterSchemas, kind)
}

function fieldsOf(letter: Letter): Record<string, unknown> {
  switch (letter.kind) {
    case 'request':
      return {
        session: sessionFields(letter.session),
        return: letter.returnAddress,
        nick: letter.nickname,
        room: letter.room,
        proof: letter.proof,
        ...(letter.grant && { grant: grantFieldsOf(letter.grant) }),
        candidates: letter.candidates.map(candidatePair),
        ...tcpField(letter),
        nat: natFields(letter.nat),
      }
    case 'reply':
      return {
        answers: letter.sessionId,
        expires: letter.expiresInMs,
        peers: letter.peers.map(peerFields),
        ...(letter.decline && {
          decline: { reason: letter.decline.reason, again: letter.decline.againInMs },
        }),
      }
    case 'introduction':
      return { answers: letter.sessionId, peers: letter.peers.map(peerFields) }
    case 'signal':
      return {
        room: letter.room,
        peer: letter.peer,
        box: letter.box,
        ...(letter.relay && { origin: letter.relay.origin, hops: letter.relay.hopsLeft }),
      }
    case 'failure':
      return { room: letter.room, peer: letter.peer, reason: letter.reason }
    case 'leave':
      return { room: letter.room }
    case 'table-request':
      return comparisonFields(letter.comparison)
    case 'table':
      return {
        statements: letter.statements.map(({ ageMs, ...rest }) => ({ ...rest, age: ageMs })),
        introduce: letter.introduce.map(({ room, requester, recipient, hopsLeft }) => ({
          room,
          asker: requester,
          to: recipient,
          hops: hopsLeft,
        })),
        ...(letter.revoked && {
          revoked: letter.revoked.map(({ signature, ...rest }) => ({ ...rest, sig: signature })),
        }),
      }
    case 'forward':
      return {
        sender: letter.mailFrom,
        ...(letter.mailDate !== undefined && { date: letter.mailDate }),
        ...(letter.messageId !== undefined && { message: letter.messageId }),
        boxes: letter.boxes,
      }
    case 'taken':
      return { ids: letter.ids, ...(letter.wanted && { wanted: letter.wanted }) }
  }
}

function comparisonFields({ groups, leaves, items, want, newest }: Comparison) {
  return {
    ...(groups && { groups }),
    ...(leaves && { leaves: leaves.map(({ group, hashes }) => ({ group, prints: hashes })) }),
    ...(items && { items }),
    ...(want && { want }),
    ...(newest && { newest }),
  }
}

function sessionFields({ id, publicKey }: Session) {
  return { id, key: publicKey }
}

function grantFieldsOf({ signature, ...grant }: Grant) {
  return { ...grant, sig: signature }
}

function candidatePair({ kind, endpoint }: Candidate) {
  return [candidateNames[kind], encodeEndpoint(endpoint)]
}

function tcpField({ tcpCandidates }: Pick<OfferedPeer, 'tcpCandidates'>) {
  return tcpCandidates && { tcp: tcpCandidates.map(candidatePair) }
}

function natFields({ mapping, filtering, allocation, lifetimeMs }: NatProfile) {
  const block = 'block' in allocation && allocation.block
  return {
    map: mapping,
    filter: filtering,
    alloc: allocation.type,
    ...(allocation.type === 'sequential' && { step: allocation.step }),
    ...(block && { block: [block.first, block.last] }),
    ...(lifetimeMs !== undefined && { life: lifetimeMs }),
  }
}

function peerFields(peer: OfferedPeer) {
  return {
    id: peer.id,
    nick: peer.nickname,
    session: sessionFields(peer.session),
    candidates: peer.candidates.map(candidatePair),
    ...tcpField(peer),
    nat: natFields(peer.nat),
    same: peer.sameNat,
    flagged: peer.flagged,
    age: peer.ageMs,
  }
}
