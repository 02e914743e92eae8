// Random valid letters, invites and their fields, for property tests in any room.

import fc, { type Arbitrary } from 'fast-check'
import { type Candidate, type Endpoint, makeEndpoint } from '../../src/base/endpoint.ts'
import type { NatProfile } from '../../src/base/nat-profile.ts'
import type { Invite, InviteHost } from '../../src/letter/invite.ts'
import { defaultSubject } from '../../src/letter/invite.ts'
import type {
  FailureLetter,
  ForwardLetter,
  Grant,
  IntroductionLetter,
  LeaveLetter,
  Letter,
  LetterKind,
  OfferedPeer,
  ReplyLetter,
  RequestLetter,
  Revocation,
  Session,
  SignalLetter,
  TableLetter,
  TableRequestLetter,
  TakenLetter,
} from '../../src/letter/letter-types.ts'
import { limits } from '../../src/letter/limits.ts'
import { isNickname, isRoomName, isSubject } from '../../src/letter/text-validation.ts'
import { isUsableBoxKey } from '../../src/letter/x25519-weak-keys.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

/** Plain objects, like those that decoding returns. */
function record<Model>(model: { [Key in keyof Model]: Arbitrary<Model[Key]> }): Arbitrary<Model> {
  return fc.record<Model>(model, { noNullPrototype: true })
}

export function bytes(length: number, maxLength = length): Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength })
}

export const boxKey = bytes(32).filter(isUsableBoxKey)

export const endpoint: Arbitrary<Endpoint> = fc
  .record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 1, max: 65535 }) })
  .map(({ address, port }) => makeEndpoint(address, port))
  .filter((made) => made !== null)

export const candidate: Arbitrary<Candidate> = record({
  kind: fc.constantFrom('host', 'server-reflexive', 'peer-reflexive', 'port-mapped', 'predicted'),
  endpoint,
})

const candidates = fc.array(candidate, { maxLength: limits.candidates })
const tcpCandidates = fc.option(fc.array(candidate, { maxLength: limits.tcpCandidates }), { nil: null })

function withOptionalTcp<Model extends object>(arbitrary: Arbitrary<Model>): Arbitrary<Model> {
  return fc
    .tuple(arbitrary, tcpCandidates)
    .map(([model, tcp]) => (tcp ? { ...model, tcpCandidates: tcp } : model))
}

const block = fc
  .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
  .map((ports) => ({ first: Math.min(...ports), last: Math.max(...ports) }))

export const natProfile: Arbitrary<NatProfile> = fc.record(
  {
    mapping: fc.constantFrom('none', 'EIM', 'ADM', 'APDM', 'unknown'),
    filtering: fc.constantFrom('EIF', 'ADF', 'APDF', 'unknown'),
    allocation: fc.oneof(
      record({ type: fc.constantFrom('preserving', 'unknown') }),
      fc.record(
        { type: fc.constant('random' as const), block },
        { requiredKeys: ['type'], noNullPrototype: true },
      ),
      fc.record(
        {
          type: fc.constant('sequential' as const),
          step: fc.integer({ min: -limits.portStep, max: limits.portStep }).filter((step) => step !== 0),
          block,
        },
        { requiredKeys: ['type', 'step'], noNullPrototype: true },
      ),
    ),
    lifetimeMs: fc.nat({ max: limits.durationMs }),
  },
  { requiredKeys: ['mapping', 'filtering', 'allocation'], noNullPrototype: true },
)

function line(maxLength: number, isValid: (text: string) => boolean): Arbitrary<string> {
  return fc
    .string({ minLength: 1, maxLength, unit: 'grapheme' })
    .map((text) => text.trim())
    .filter(isValid)
}

export const nickname = line(limits.nicknameCharacters, isNickname)

const word = fc.stringMatching(/^[a-z0-9]{1,20}$/)

export const mailAddress: Arbitrary<string> = fc
  .record({
    local: fc.array(word, { minLength: 1, maxLength: 2 }),
    domain: fc.array(word, { minLength: 1, maxLength: 3 }),
  })
  .map(({ local, domain }) => `${local.join('.')}@${domain.join('.')}`)

export const session: Arbitrary<Session> = record({ id: bytes(16), publicKey: boxKey })

const instant = fc.integer({ min: 0, max: limits.instantMs })
const duration = fc.integer({ min: 0, max: limits.durationMs })

export const offeredPeer: Arbitrary<OfferedPeer> = withOptionalTcp(
  record({
    id: bytes(32),
    nickname,
    session,
    candidates,
    nat: natProfile,
    sameNat: fc.boolean(),
    flagged: fc.boolean(),
    ageMs: duration,
  }),
)

const peers = fc.array(offeredPeer, { maxLength: limits.peers })
const base = { from: bytes(32), to: bytes(32), id: bytes(16), sentAt: instant }

function kind<const Kind extends LetterKind>(name: Kind): Arbitrary<Kind> {
  return fc.constant(name)
}

export const grant: Arbitrary<Grant> = fc.record(
  {
    key: bytes(32),
    host: bytes(32),
    until: instant,
    uses: fc.integer({ min: 1, max: limits.inviteUses }),
    signature: bytes(64),
  },
  { requiredKeys: ['key', 'host', 'signature'], noNullPrototype: true },
)

const requestFields = {
  kind: kind('request'),
  ...base,
  session,
  returnAddress: mailAddress,
  nickname,
  room: bytes(32),
  proof: bytes(64),
  candidates,
  nat: natProfile,
}

export const requestLetter: Arbitrary<RequestLetter> = withOptionalTcp(
  fc.oneof(record(requestFields), record({ ...requestFields, grant })),
)

const replyFields = { kind: kind('reply'), ...base, sessionId: bytes(16), expiresInMs: duration }
const decline = record({ reason: fc.stringMatching(/^[a-z-]{1,32}$/), againInMs: duration })

export const replyLetter: Arbitrary<ReplyLetter> = fc.oneof(
  record({ ...replyFields, peers }),
  record({ ...replyFields, peers: fc.constant([]), decline }),
)

export const introductionLetter: Arbitrary<IntroductionLetter> = record({
  kind: kind('introduction'),
  ...base,
  sessionId: bytes(16),
  peers,
})

export const signalLetter: Arbitrary<SignalLetter> = record({
  kind: kind('signal'),
  ...base,
  room: bytes(32),
  peer: bytes(32),
  box: fc.oneof(bytes(0, 300), bytes(limits.signalBoxBytes)),
})

export const failureLetter: Arbitrary<FailureLetter> = record({
  kind: kind('failure'),
  ...base,
  room: bytes(32),
  peer: bytes(32),
  reason: fc.constantFrom('no-answer', 'no-way', 'refused', 'lost'),
})

export const leaveLetter: Arbitrary<LeaveLetter> = record({
  kind: kind('leave'),
  ...base,
  room: bytes(32),
})

const hashes = bytes(384)

export const tableRequestLetter: Arbitrary<TableRequestLetter> = record({
  kind: kind('table-request'),
  ...base,
  comparison: fc
    .record(
      {
        groups: hashes,
        leaves: fc.array(record({ group: fc.nat(63), hashes }), { maxLength: 24 }),
        items: fc.array(
          fc.tuple(fc.nat(4095), fc.nat(4095), fc.nat(8)).chain(([a, b, count]) =>
            record({
              first: fc.constant(Math.min(a, b)),
              last: fc.constant(Math.max(a, b)),
              items: bytes(20 * count),
            }),
          ),
          { maxLength: limits.tableRangesInLetter },
        ),
        want: fc.nat(64).chain((keys) => bytes(8 * keys)),
        newest: fc.constant(true),
      },
      { requiredKeys: [], noNullPrototype: true },
    )
    // An empty comparison is not valid.
    .filter((comparison) => Object.keys(comparison).length > 0),
})

const revocation: Arbitrary<Revocation> = fc.record(
  {
    key: bytes(32),
    host: bytes(32),
    signature: bytes(64),
    at: fc.nat(limits.durationMs),
    until: fc.nat(limits.durationMs),
  },
  { requiredKeys: ['key', 'host', 'signature', 'at'], noNullPrototype: true },
)

export const tableLetter: Arbitrary<TableLetter> = fc.record(
  {
    kind: kind('table'),
    ...base,
    statements: fc.array(
      fc.record(
        {
          signed: bytes(66, 300),
          flagged: fc.boolean(),
          ageMs: fc.nat(limits.durationMs),
          offered: fc.constantFrom(0, 1, limits.peers).map((items) => new Uint8Array(items * 20)),
        },
        { requiredKeys: ['signed', 'flagged', 'ageMs'], noNullPrototype: true },
      ),
      { maxLength: limits.tableStatements },
    ),
    introduce: fc.array(
      record({ room: bytes(32), requester: bytes(32), recipient: bytes(32), hopsLeft: fc.nat(3) }),
      { maxLength: 32 },
    ),
    revoked: fc.array(revocation, { maxLength: limits.tableRevocations }),
  },
  {
    requiredKeys: ['kind', 'from', 'to', 'id', 'sentAt', 'statements', 'introduce'],
    noNullPrototype: true,
  },
)

const forwardLetter: Arbitrary<ForwardLetter> = fc.record(
  {
    kind: kind('forward'),
    ...base,
    mailFrom: mailAddress,
    mailDate: fc.nat(limits.durationMs),
    messageId: fc.stringMatching(/^<[0-9a-z]{1,40}@[a-z]{1,20}>$/),
    boxes: bytes(32),
  },
  { requiredKeys: ['kind', 'from', 'to', 'id', 'sentAt', 'mailFrom', 'boxes'], noNullPrototype: true },
)

const takenLetter: Arbitrary<TakenLetter> = fc.record(
  {
    kind: kind('taken'),
    ...base,
    ids: fc.nat(limits.forwardsTaken).chain((ids) => bytes(16 * ids)),
    wanted: fc.nat(limits.forwardsWanted).chain((ids) => bytes(16 * ids)),
  },
  { requiredKeys: ['kind', 'from', 'to', 'id', 'sentAt', 'ids'], noNullPrototype: true },
)

export const lettersByKind: { readonly [Kind in LetterKind]: Arbitrary<Extract<Letter, { kind: Kind }>> } = {
  request: requestLetter,
  reply: replyLetter,
  introduction: introductionLetter,
  signal: signalLetter,
  failure: failureLetter,
  leave: leaveLetter,
  'table-request': tableRequestLetter,
  table: tableLetter,
  forward: forwardLetter,
  taken: takenLetter,
}

export const letter: Arbitrary<Letter> = fc.oneof(...Object.values<Arbitrary<Letter>>(lettersByKind))

const inviteHost: Arbitrary<InviteHost> = record({
  address: mailAddress,
  identity: bytes(32),
  sealingKey: boxKey,
})

const roomName = line(limits.roomNameCharacters, isRoomName)

/** Key and host of the grant are derived, as in every real invite. */
const passInvite = fc
  .record({ host: inviteHost, name: roomName, tag: bytes(32), linkSecret: bytes(32), seed: bytes(32), grant })
  .map(({ host, name, grant: terms, ...rest }) => {
    const { publicKey: key } = realCrypto.signKeyPair(rest.seed)
    return { host, room: { name, pass: { ...rest, grant: { ...terms, key, host: host.identity } } } }
  })

const secretInvite = record({ host: inviteHost, room: record({ name: roomName, secret: bytes(32) }) })

const inviteRest = record({
  stunServers: fc.array(
    fc.oneof(
      fc
        .record({ name: word, port: fc.integer({ min: 1, max: 65535 }) })
        .map(({ name, port }) => `${name}.example:${port}`),
      fc.constantFrom('192.0.2.1:3478', '[2001:db8::1]:3478'),
    ),
    { maxLength: limits.inviteStunServers },
  ),
  otherHosts: fc.array(inviteHost, { maxLength: limits.inviteHosts }),
  subject: fc.oneof(fc.constant(defaultSubject), line(limits.subjectCharacters, isSubject)),
})

export const invite: Arbitrary<Invite> = fc
  .tuple(fc.oneof(secretInvite, passInvite), inviteRest)
  .map(([access, rest]) => ({ ...access, ...rest }))

/** A change of bytes in transit: one byte is changed, inserted or deleted, or the end is cut off. */
export type Mutation = {
  readonly action: 'flip' | 'insert' | 'delete' | 'truncate'
  /** Position as a fraction of the length: 0 ≤ at < 1. */
  readonly at: number
  readonly byte: number
}

export const mutation: Arbitrary<Mutation> = record({
  action: fc.constantFrom('flip', 'insert', 'delete', 'truncate'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  byte: fc.integer({ min: 1, max: 255 }),
})

/** The result always differs from the original, unless that is empty. */
export function mutate(original: Uint8Array, { action, at, byte }: Mutation): Uint8Array {
  const position = Math.floor(at * original.length)
  const before = original.subarray(0, position)
  const after = original.subarray(position)
  switch (action) {
    case 'flip':
      return original.map((old, index) => (index === position ? old ^ byte : old))
    case 'insert':
      return Uint8Array.from([...before, byte, ...after])
    case 'delete':
      return Uint8Array.from([...before, ...after.subarray(1)])
    case 'truncate':
      return before.slice()
  }
}
