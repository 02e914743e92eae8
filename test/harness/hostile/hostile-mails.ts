// Mails that must not be answered, each kind with the only valid reason for dropping it.

import { concatBytes } from '../../../src/base/bytes.ts'
import type { DropReason } from '../../../src/host/host.ts'
import { armorLetter } from '../../../src/letter/armor.ts'
import { toBase32 } from '../../../src/letter/base32.ts'
import { hostAddress, makeHostKeys, makeRoom, subject } from '../../host/fakes.ts'
import type { Attacker } from './attacker.ts'

export type HostileKind = {
  /** Null when the reason is random; any reason is valid, but acceptance is not. */
  readonly reason: DropReason | null
  /** Relative frequency. */
  readonly weight: number
  readonly make: (attacker: Attacker) => string
}

const hourMs = 3_600_000
const hostileKind = (
  reason: DropReason | null,
  make: (attacker: Attacker) => string,
  weight = 1,
): HostileKind => ({
  reason,
  weight,
  make,
})

/** Changes, removes or inserts single bytes; or removes, doubles or moves a range. */
export function mutate(attacker: Attacker, mail: string): string {
  let changed = mail
  for (let left = 1 + attacker.below(6); left > 0; left--) {
    const at = attacker.below(changed.length)
    const [before, rest] = [changed.slice(0, at), changed.slice(at)]
    const length = 1 + attacker.below(80)
    const byte = String.fromCharCode(attacker.below(256))
    changed = attacker.pick([
      () => before + byte + rest.slice(1),
      () => before + byte + rest,
      () => before + rest.slice(1),
      () => before + rest.slice(length),
      () => before + rest.slice(0, length) + rest,
      () => before.slice(length) + rest.slice(0, length) + rest.slice(length),
      () => before,
    ])()
  }
  return changed
}

const armored = (version: number, attacker: Attacker, content: Uint8Array) => {
  const prefix = Uint8Array.of(version, content.length >> 8, content.length & 0xff)
  const sum = attacker.crypto.hash(concatBytes(prefix, content), 16).subarray(0, 5)
  return `[peerpost letter begins]\n${toBase32(concatBytes(prefix, sum, content))}\n[peerpost letter ends]\n`
}

const sealed = (attacker: Attacker, content: Uint8Array) =>
  attacker.mail(
    armorLetter(attacker.crypto, attacker.crypto.seal(content, attacker.host.sealingKeys.publicKey)),
  )

const multipart = (depth: number) =>
  `${'Content-Type: multipart/mixed; boundary=b\n\n--b\n'.repeat(depth)}Content-Type: text/plain\n\nx\n`

const nested = (depth: number) =>
  `${'Content-Type: message/rfc822\n\nFrom: <a@b.c>\nMIME-Version: 1.0\n'.repeat(depth)}\nx\n`

export const hostileKinds: Readonly<Record<string, HostileKind>> = {
  'a letter mutated': hostileKind(null, (attacker) => mutate(attacker, attacker.pick(attacker.old)), 12),
  'a letter sent again': hostileKind('copy', (attacker) => attacker.pick(attacker.old), 12),
  'a letter sent again in another mail': hostileKind(
    'copy',
    (attacker) => `X-Hop: ${attacker.below(1e9)}\r\n${attacker.pick(attacker.old)}`,
    8,
  ),
  'an old letter in a new mail': hostileKind('stale', (attacker) => {
    const agent = attacker.stranger()
    return attacker.letter(agent.request(attacker.now - 13 * hourMs), agent)
  }),
  'a mail held back': hostileKind('stale', (attacker) => {
    const agent = attacker.stranger()
    return attacker.letter(agent.request(attacker.now), agent, { dateMs: attacker.now - 13 * hourMs })
  }),
  'a letter of tomorrow': hostileKind('from-the-future', (attacker) => {
    const agent = attacker.stranger()
    return attacker.letter(agent.request(attacker.now + 24 * hourMs), agent)
  }),
  'a forged From': hostileKind(
    'wrong-return-address',
    (attacker) => {
      const agent = attacker.stranger()
      return attacker.letter(agent.request(attacker.now), agent, {
        from: `victim${attacker.below(1e6)}@example.org`,
      })
    },
    6,
  ),
  'a forged return address': hostileKind(
    'wrong-return-address',
    (attacker) => {
      const agent = attacker.stranger()
      return attacker.letter(agent.request(attacker.now, { returnAddress: 'victim@example.org' }), agent)
    },
    6,
  ),
  'a forged reply': hostileKind(
    'unexpected-kind',
    (attacker) => {
      const agent = attacker.stranger()
      const reply = {
        ...agent.head(attacker.now),
        kind: 'reply' as const,
        sessionId: attacker.bytes(16),
        expiresInMs: 1,
        peers: [],
      }
      return attacker.letter(reply, agent)
    },
    6,
  ),
  'a table of a host that nobody knows': hostileKind(
    'unknown-host',
    (attacker) => {
      const agent = attacker.stranger()
      return attacker.letter(
        { ...agent.head(attacker.now), kind: 'table', statements: [], introduce: [] },
        agent,
      )
    },
    4,
  ),
  'a letter for another host': hostileKind(
    'wrong-key',
    (attacker) => {
      const agent = attacker.stranger(attacker.room, makeHostKeys())
      return attacker.letter(agent.request(attacker.now), agent)
    },
    4,
  ),
  'a letter sent on by another host': hostileKind(
    'misdirected',
    (attacker) => {
      const agent = attacker.stranger()
      return attacker.letter(agent.request(attacker.now, { to: makeHostKeys().identity.publicKey }), agent)
    },
    4,
  ),
  'a letter signed by somebody else': hostileKind(
    'unsigned',
    (attacker) => {
      const agent = attacker.stranger()
      const identity = { publicKey: agent.id, secretKey: attacker.gone.identity.secretKey }
      return attacker.letter(agent.request(attacker.now), agent, { identity })
    },
    4,
  ),
  'a request without the room’s secret': hostileKind(
    'not-a-member',
    (attacker) => {
      const agent = attacker.stranger({ ...makeRoom(), tag: attacker.room.tag })
      return attacker.letter(agent.request(attacker.now), agent)
    },
    4,
  ),
  'a request for a room that is not here': hostileKind('not-a-member', (attacker) => {
    const agent = attacker.stranger(makeRoom())
    return attacker.letter(agent.request(attacker.now), agent)
  }),
  'a signal of a stranger': hostileKind('unknown-sender', (attacker) => {
    const agent = attacker.stranger()
    const signal = {
      ...agent.head(attacker.now),
      kind: 'signal' as const,
      room: attacker.room.tag,
      peer: attacker.member.id,
    }
    return attacker.letter({ ...signal, box: attacker.bytes(attacker.below(8_000)) }, agent)
  }),
  'a failure about nobody': hostileKind('unknown-peer', (attacker) => {
    const { member } = attacker
    const failure = {
      ...member.head(attacker.now),
      kind: 'failure' as const,
      room: attacker.room.tag,
      peer: attacker.bytes(32),
    }
    return attacker.letter({ ...failure, reason: 'lost' }, member)
  }),
  'a bounce of the host’s mail': hostileKind('bounce', (attacker) => attacker.bounce),
  'a request from where mail comes back': hostileKind('unreachable', (attacker) =>
    attacker.letter(attacker.gone.request(attacker.now), attacker.gone),
  ),
  'a letter by way of a list': hostileKind('automatic', (attacker) => {
    const agent = attacker.stranger()
    return `List-Id: <games.example.org>\r\n${attacker.letter(agent.request(attacker.now), agent)}`
  }),
  'a vacation notice': hostileKind(
    'automatic',
    (attacker) => `Auto-Submitted: auto-replied\r\n${attacker.mail('I am away.\n')}`,
  ),
  'a forged bounce': hostileKind('automatic', (attacker) =>
    attacker.bounce.replace(/^Message-ID: <.{8}/m, 'Message-ID: <00000000'),
  ),
  'a request from the host itself': hostileKind('automatic', (attacker) => {
    const agent = attacker.stranger()
    return attacker.letter(agent.request(attacker.now, { returnAddress: hostAddress }), agent, {
      from: hostAddress,
    })
  }),
  'a letter with a line lost': hostileKind('mangled', (attacker) =>
    attacker.pick(attacker.old).replace(/^[a-z2-7]{64}\r\n/m, ''),
  ),
  'a letter of a later version': hostileKind('unknown-version', (attacker) =>
    attacker.mail(armored(9, attacker, attacker.bytes(1_072))),
  ),
  'nonsense, well sealed': hostileKind('malformed', (attacker) => sealed(attacker, attacker.bytes(1_024))),
  'CBOR that is none, well sealed': hostileKind('malformed', (attacker) =>
    sealed(attacker, attacker.crypto.pad(concatBytes(Uint8Array.of(1, 0), attacker.bytes(320)), 1_024)),
  ),
  'two letters in a mail': hostileKind('several-letters', (attacker) => {
    const mail = attacker.pick(attacker.old)
    return mail + mail.slice(mail.indexOf('\r\n\r\n'))
  }),
  'a mail beyond the limit': hostileKind(
    'too-big',
    (attacker) => attacker.raw(`\n${'x'.repeat(300_000)}\n`),
    0.3,
  ),
  'a header without end': hostileKind(
    'too-big',
    (attacker) => attacker.raw(`X: ${'y'.repeat(70_000)}\n\nx\n`),
    0.3,
  ),
  'ten thousand header fields': hostileKind(
    'too-big',
    (attacker) => attacker.raw(`${'X-A: b\n'.repeat(10_000)}\nx\n`),
    0.3,
  ),
  'seven thousand header fields': hostileKind(
    'no-letter',
    (attacker) => attacker.raw(`${'X: b\n'.repeat(7_000)}\nx\n`),
    0.5,
  ),
  'thousands of recipients': hostileKind(
    'no-letter',
    (attacker) => attacker.raw(`Cc: ${'a@b.c, '.repeat(8_000)}d@e.f\n\nx\n`),
    0.5,
  ),
  'two From fields': hostileKind(
    'bad-mail',
    (attacker) => `From: <other@mail.test>\r\n${attacker.pick(attacker.old)}`,
    2,
  ),
  'two addresses in From': hostileKind('bad-mail', (attacker) =>
    attacker.pick(attacker.old).replace(/^From: /, 'From: <other@mail.test>, '),
  ),
  'From without end': hostileKind('bad-mail', (attacker) =>
    attacker.pick(attacker.old).replace(/^From: .*/, `From: ${'"'.repeat(999)}`),
  ),
  'multipart in multipart': hostileKind('bad-mail', (attacker) => attacker.raw(multipart(300))),
  'mail in mail': hostileKind('bad-mail', (attacker) => attacker.raw(nested(200))),
  'mail in mail, attached': hostileKind('no-letter', (attacker) =>
    attacker.raw(
      `Content-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n${`--c\n${nested(10)}`.repeat(15)}--c--\n`,
    ),
  ),
  'a thousand parts': hostileKind('bad-mail', (attacker) =>
    attacker.raw(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(1_000)}--b--\n`),
  ),
  'a compressed file that grows': hostileKind('bad-mail', (attacker) =>
    attacker.raw(
      `Content-Type: application/gzip\nContent-Encoding: gzip\nContent-Transfer-Encoding: base64\n\n${'H4sIAAAAAAAAA+3BMQEAAADCoPVPbQ0PoAAAAAAA\n'.repeat(2_000)}`,
    ),
  ),
  'entities without end': hostileKind(
    'no-letter',
    (attacker) => attacker.raw(`Content-Type: text/html\n\n${'&lt;&#x41;&#10;'.repeat(15_000)}\n`),
    0.5,
  ),
  'tags that never end': hostileKind(
    'bad-mail',
    (attacker) => attacker.raw(`Content-Type: text/html\n\n${'<a '.repeat(80_000)}`),
    0.5,
  ),
  'comments that never end': hostileKind(
    'bad-mail',
    (attacker) => attacker.raw(`Content-Type: text/html\n\n${'<!--'.repeat(60_000)}`),
    0.5,
  ),
  'tables in tables': hostileKind(
    'no-letter',
    (attacker) => attacker.raw(`Content-Type: text/html\n\n${'<table><tr><td>'.repeat(15_000)}x`),
    0.5,
  ),
  'begins without end': hostileKind(
    'several-letters',
    (attacker) => attacker.mail('[peerpost letter begins]\n'.repeat(4_000)),
    0.5,
  ),
  'text beyond what is searched': hostileKind(
    'too-big',
    (attacker) => attacker.mail('abc 123\n'.repeat(20_000)),
    0.5,
  ),
  'NUL bytes': hostileKind('no-letter', (attacker) => attacker.raw(`X\0: \0\n\n${'\0'.repeat(1_000)}x\n`)),
  'eight-bit noise': hostileKind('no-letter', (attacker) =>
    attacker.raw(
      `Content-Transfer-Encoding: 8bit\n\nx${Buffer.from(attacker.bytes(2_000)).toString('latin1')}`,
    ),
  ),
  'a charset that lies': hostileKind(null, (attacker) =>
    attacker
      .pick(attacker.old)
      .replace(
        /charset=us-ascii/,
        `charset=${attacker.pick(['utf-16', 'utf-7', 'iso-2022-jp', 'x', '"', 'big5', 'utf-32'])}`,
      ),
  ),
  'an encoding that lies': hostileKind(null, (attacker) =>
    attacker
      .pick(attacker.old)
      .replace(
        /^MIME-Version.*/m,
        `Content-Transfer-Encoding: ${attacker.pick(['base64', 'quoted-printable', 'x-uuencode', '7bit, base64'])}`,
      ),
  ),
  'a subject that is almost ours': hostileKind(null, (attacker) =>
    attacker.pick(attacker.old).replace(subject, `${subject}=?utf-8?q??=`),
  ),
}
