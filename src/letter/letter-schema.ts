// The wire format of letter bodies as zod schemas. Each schema checks the fields and renames them as in letter-types.ts.
// docs/protocol.md has the same as tables.

import { z } from 'zod'
import { type Candidate, decodeEndpoint, type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Grant, Letter, LetterKind } from './letter-types.ts'
import { limits } from './limits.ts'
import { integer, natProfile as nat } from './nat-profile-schema.ts'
import { isMailAddress, isMessageId, isNickname } from './text-validation.ts'
import { isUsableBoxKey } from './x25519-weak-keys.ts'

export const protocolVersion = 1

/** The names of candidate kinds on the wire. */
export const candidateNames = {
  host: 'host',
  'server-reflexive': 'srflx',
  'peer-reflexive': 'prflx',
  'port-mapped': 'mapped',
  predicted: 'predicted',
} as const satisfies Record<Candidate['kind'], string>

const candidateKinds = new Map<string, Candidate['kind']>(
  (Object.keys(candidateNames) as Candidate['kind'][]).map((kind) => [candidateNames[kind], kind]),
)

export function bytesOf(length: number) {
  return z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length)
}

function bytesUpTo(length: number) {
  return z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= length)
}

export function boxKey() {
  return bytesOf(32).refine(isUsableBoxKey)
}

function textThat(isValid: (text: string) => boolean) {
  return z.custom<string>((value) => typeof value === 'string' && isValid(value))
}

/** Refuses an IPv4 address in IPv6 form, because each endpoint must have exactly one encoding. */
export function readEndpoint(bytes: unknown): Endpoint | null {
  if (!(bytes instanceof Uint8Array)) return null
  const endpoint = decodeEndpoint(bytes)
  if (!endpoint || bytes.length !== (familyOf(endpoint.address) === 4 ? 6 : 18)) return null
  return endpoint
}

const candidate = z.unknown().transform((pair, context): Candidate => {
  const [name, bytes] = Array.isArray(pair) && pair.length === 2 ? pair : []
  const kind = candidateKinds.get(name)
  const endpoint = readEndpoint(bytes)
  if (kind && endpoint) return { kind, endpoint }
  context.addIssue('not a candidate')
  return z.NEVER
})
const candidates = z.array(candidate).max(limits.candidates)
const tcp = z.array(candidate).max(limits.tcpCandidates).optional()

const nickname = textThat(isNickname)
const session = z
  .object({ id: bytesOf(16), key: boxKey() })
  .transform(({ id, key }) => ({ id, publicKey: key }))
const duration = integer(0, limits.durationMs)
const instant = integer(0, limits.instantMs)

/** The wire fields of a grant, in requests and invites. */
export const grantFields = {
  until: instant.optional(),
  uses: integer(1, limits.inviteUses).optional(),
  sig: bytesOf(64),
}

type WireGrant = {
  readonly until?: number | undefined
  readonly uses?: number | undefined
  readonly sig: Uint8Array
}

export function grantedTerms({ until, uses, sig }: WireGrant): Pick<Grant, 'until' | 'uses' | 'signature'> {
  return { ...(until !== undefined && { until }), ...(uses !== undefined && { uses }), signature: sig }
}

const peers = z
  .array(
    z
      .object({
        id: bytesOf(32),
        nick: nickname,
        session,
        candidates,
        tcp,
        nat,
        same: z.boolean(),
        flagged: z.boolean(),
        age: duration,
      })
      .transform(({ nick, same, age, tcp: tcpCandidates, ...peer }) => ({
        ...peer,
        ...(tcpCandidates && { tcpCandidates }),
        nickname: nick,
        sameNat: same,
        ageMs: age,
      })),
  )
  .max(limits.peers)

/** Records of `bytes` bytes each, joined; `most` of them at most. */
function recordsOf(bytes: number, most: number) {
  return z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length % bytes === 0 && value.length <= bytes * most,
  )
}

const revocation = z
  .object({ key: bytesOf(32), host: bytesOf(32), at: instant, until: grantFields.until, sig: bytesOf(64) })
  .transform(({ sig, until, ...rest }) => ({
    ...rest,
    ...(until !== undefined && { until }),
    signature: sig,
  }))

const hops = integer(0, limits.hostHops)
const hashes = bytesOf(limits.tableLeavesInGroup * limits.tableHashBytes)
const leaf = integer(0, limits.tableGroups * limits.tableLeavesInGroup - 1)
const tableRange = z
  .object({ first: leaf, last: leaf, items: recordsOf(limits.tableItemBytes, limits.tableItemsInLetter) })
  .refine(({ first, last }) => first <= last)

function body<const Kind extends LetterKind, Fields extends z.ZodRawShape>(kind: Kind, fields: Fields) {
  return z.object({
    v: z.literal(protocolVersion),
    kind: z.literal(kind),
    from: bytesOf(32),
    to: bytesOf(32),
    id: bytesOf(16),
    sent: instant,
    ...fields,
  })
}

/** One schema for each kind of letter, for decoded CBOR. Unknown fields are dropped. */
export const letterSchemas = {
  request: body('request', {
    session,
    return: textThat(isMailAddress),
    nick: nickname,
    room: bytesOf(32),
    proof: bytesOf(64),
    grant: z
      .object({ ...grantFields, key: bytesOf(32), host: bytesOf(32) })
      .transform(({ key, host, ...granted }): Grant => ({ key, host, ...grantedTerms(granted) }))
      .optional(),
    candidates,
    tcp,
    nat,
  }).transform(({ v, sent, nick, return: returnAddress, grant, tcp: tcpCandidates, ...letter }) => ({
    ...letter,
    ...(grant && { grant }),
    ...(tcpCandidates && { tcpCandidates }),
    sentAt: sent,
    nickname: nick,
    returnAddress,
  })),
  reply: body('reply', {
    answers: bytesOf(16),
    expires: duration,
    peers,
    decline: z
      .object({ reason: z.string().regex(/^[a-z-]{1,32}$/), again: duration })
      .transform(({ reason, again }) => ({ reason, againInMs: again }))
      .optional(),
  }).transform(({ v, sent, answers, expires, decline, ...letter }) => ({
    ...letter,
    ...(decline && { decline }),
    sentAt: sent,
    sessionId: answers,
    expiresInMs: expires,
  })),
  introduction: body('introduction', { answers: bytesOf(16), peers }).transform(
    ({ v, sent, answers, ...letter }) => ({ ...letter, sentAt: sent, sessionId: answers }),
  ),
  signal: body('signal', {
    room: bytesOf(32),
    peer: bytesOf(32),
    box: bytesUpTo(limits.signalBoxBytes),
    origin: bytesOf(32).optional(),
    hops: hops.default(0),
  }).transform(({ v, sent, origin, hops, ...letter }) => ({
    ...letter,
    sentAt: sent,
    ...(origin && { relay: { origin, hopsLeft: hops } }),
  })),
  failure: body('failure', {
    room: bytesOf(32),
    peer: bytesOf(32),
    reason: z.enum(['no-answer', 'no-way', 'refused', 'lost']),
  }).transform(({ v, sent, ...letter }) => ({ ...letter, sentAt: sent })),
  leave: body('leave', { room: bytesOf(32) }).transform(({ v, sent, ...letter }) => ({
    ...letter,
    sentAt: sent,
  })),
  'table-request': body('table-request', {
    groups: hashes.optional(),
    leaves: z
      .array(
        z
          .object({ group: integer(0, limits.tableGroups - 1), prints: hashes })
          .transform(({ group, prints }) => ({ group, hashes: prints })),
      )
      .max(limits.tableGroupsInLetter)
      .optional(),
    items: z.array(tableRange).max(limits.tableRangesInLetter).optional(),
    want: recordsOf(limits.tableKeyBytes, limits.tableKeysInLetter).optional(),
    newest: z.literal(true).optional(),
  })
    .refine(({ groups, leaves, items, want, newest }) => groups ?? leaves ?? items ?? want ?? newest)
    .transform(({ v, sent, groups, leaves, items, want, newest, ...letter }) => ({
      ...letter,
      sentAt: sent,
      comparison: {
        ...(groups && { groups }),
        ...(leaves && { leaves }),
        ...(items && { items }),
        ...(want && { want }),
        ...(newest && { newest }),
      },
    })),
  table: body('table', {
    statements: z
      .array(
        z
          .object({
            signed: bytesUpTo(limits.signedRequestBytes),
            flagged: z.boolean(),
            age: duration,
            offered: recordsOf(limits.tableItemBytes, limits.peers).optional(),
          })
          .transform(({ age, offered, ...statement }) => ({
            ...statement,
            ageMs: age,
            ...(offered && { offered }),
          })),
      )
      .max(limits.tableStatements),
    introduce: z
      .array(
        z
          .object({ room: bytesOf(32), asker: bytesOf(32), to: bytesOf(32), hops })
          .transform(({ room, asker, to, hops }) => ({
            room,
            requester: asker,
            recipient: to,
            hopsLeft: hops,
          })),
      )
      .max(limits.tableStatements),
    revoked: z.array(revocation).max(limits.tableRevocations).optional(),
  }).transform(({ v, sent, revoked, ...letter }) => ({
    ...letter,
    ...(revoked && { revoked }),
    sentAt: sent,
  })),
  forward: body('forward', {
    sender: textThat(isMailAddress),
    date: instant.optional(),
    message: textThat(isMessageId).optional(),
    boxes: bytesOf(32),
  }).transform(({ v, sent, sender, date, message, ...letter }) => ({
    ...letter,
    ...(date !== undefined && { mailDate: date }),
    ...(message !== undefined && { messageId: message }),
    sentAt: sent,
    mailFrom: sender,
  })),
  taken: body('taken', {
    ids: recordsOf(16, limits.forwardsTaken),
    wanted: recordsOf(16, limits.forwardsWanted).optional(),
  }).transform(({ v, sent, wanted, ...letter }) => ({ ...letter, ...(wanted && { wanted }), sentAt: sent })),
} satisfies { [Kind in LetterKind]: z.ZodType<Extract<Letter, { kind: Kind }>> }
