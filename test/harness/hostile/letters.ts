// Mails that nobody should get an answer to, each kind with the one reason for which it must be dropped.

import { concatBytes } from '../../../src/base/bytes.ts'
import type { DropReason } from '../../../src/host/host.ts'
import { armorLetter } from '../../../src/letter/armor.ts'
import { toBase32 } from '../../../src/letter/base32.ts'
import { hostAddress, makeHostKeys, makeRoom, subject } from '../../host/fakes.ts'
import type { Enemy } from './enemy.ts'

export type HostileKind = {
  /** Null: chance decides; anything but taken. */
  readonly reason: DropReason | null
  /** How many of it to one of the others. */
  readonly weight: number
  readonly make: (enemy: Enemy) => string
}

const hourMs = 3_600_000
const kind = (reason: DropReason | null, make: (enemy: Enemy) => string, weight = 1): HostileKind => ({
  reason,
  weight,
  make,
})

/** One byte here and there is another, missing or new; or a stretch is gone, doubled or moved. */
export function mutate(enemy: Enemy, mail: string): string {
  let changed = mail
  for (let left = 1 + enemy.below(6); left > 0; left--) {
    const at = enemy.below(changed.length)
    const [before, rest] = [changed.slice(0, at), changed.slice(at)]
    const length = 1 + enemy.below(80)
    const byte = String.fromCharCode(enemy.below(256))
    changed = enemy.pick([
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

const armored = (version: number, enemy: Enemy, content: Uint8Array) => {
  const prefix = Uint8Array.of(version, content.length >> 8, content.length & 0xff)
  const sum = enemy.crypto.hash(concatBytes(prefix, content), 16).subarray(0, 5)
  return `[peerpost letter begins]\n${toBase32(concatBytes(prefix, sum, content))}\n[peerpost letter ends]\n`
}

const sealed = (enemy: Enemy, content: Uint8Array) =>
  enemy.mail(armorLetter(enemy.crypto, enemy.crypto.seal(content, enemy.host.sealingKeys.publicKey)))

const multipart = (depth: number) =>
  `${'Content-Type: multipart/mixed; boundary=b\n\n--b\n'.repeat(depth)}Content-Type: text/plain\n\nx\n`

const nested = (depth: number) =>
  `${'Content-Type: message/rfc822\n\nFrom: <a@b.c>\nMIME-Version: 1.0\n'.repeat(depth)}\nx\n`

export const hostileKinds: Readonly<Record<string, HostileKind>> = {
  'a letter mutated': kind(null, (enemy) => mutate(enemy, enemy.pick(enemy.old)), 12),
  'a letter sent again': kind('copy', (enemy) => enemy.pick(enemy.old), 12),
  'a letter sent again in another mail': kind(
    'copy',
    (enemy) => `X-Hop: ${enemy.below(1e9)}\r\n${enemy.pick(enemy.old)}`,
    8,
  ),
  'an old letter in a new mail': kind('stale', (enemy) => {
    const agent = enemy.stranger()
    return enemy.letter(agent.request(enemy.now - 13 * hourMs), agent)
  }),
  'a mail held back': kind('stale', (enemy) => {
    const agent = enemy.stranger()
    return enemy.letter(agent.request(enemy.now), agent, { dateMs: enemy.now - 13 * hourMs })
  }),
  'a letter of tomorrow': kind('from-the-future', (enemy) => {
    const agent = enemy.stranger()
    return enemy.letter(agent.request(enemy.now + 24 * hourMs), agent)
  }),
  'a forged From': kind(
    'wrong-return-address',
    (enemy) => {
      const agent = enemy.stranger()
      return enemy.letter(agent.request(enemy.now), agent, { from: `victim${enemy.below(1e6)}@example.org` })
    },
    6,
  ),
  'a forged return address': kind(
    'wrong-return-address',
    (enemy) => {
      const agent = enemy.stranger()
      return enemy.letter(agent.request(enemy.now, { returnAddress: 'victim@example.org' }), agent)
    },
    6,
  ),
  'a forged reply': kind(
    'unexpected-kind',
    (enemy) => {
      const agent = enemy.stranger()
      const reply = {
        ...agent.head(enemy.now),
        kind: 'reply' as const,
        sessionId: enemy.bytes(16),
        expiresInMs: 1,
        peers: [],
      }
      return enemy.letter(reply, agent)
    },
    6,
  ),
  'a table of a host that nobody knows': kind(
    'unknown-host',
    (enemy) => {
      const agent = enemy.stranger()
      return enemy.letter({ ...agent.head(enemy.now), kind: 'table', statements: [], introduce: [] }, agent)
    },
    4,
  ),
  'a letter for another host': kind(
    'wrong-key',
    (enemy) => {
      const agent = enemy.stranger(enemy.room, makeHostKeys())
      return enemy.letter(agent.request(enemy.now), agent)
    },
    4,
  ),
  'a letter sent on by another host': kind(
    'misdirected',
    (enemy) => {
      const agent = enemy.stranger()
      return enemy.letter(agent.request(enemy.now, { to: makeHostKeys().identity.publicKey }), agent)
    },
    4,
  ),
  'a letter signed by somebody else': kind(
    'unsigned',
    (enemy) => {
      const agent = enemy.stranger()
      const identity = { publicKey: agent.id, secretKey: enemy.gone.identity.secretKey }
      return enemy.letter(agent.request(enemy.now), agent, { identity })
    },
    4,
  ),
  'a request without the room’s secret': kind(
    'not-a-member',
    (enemy) => {
      const agent = enemy.stranger({ ...makeRoom(), tag: enemy.room.tag })
      return enemy.letter(agent.request(enemy.now), agent)
    },
    4,
  ),
  'a request for a room that is not here': kind('not-a-member', (enemy) => {
    const agent = enemy.stranger(makeRoom())
    return enemy.letter(agent.request(enemy.now), agent)
  }),
  'a signal of a stranger': kind('unknown-sender', (enemy) => {
    const agent = enemy.stranger()
    const signal = {
      ...agent.head(enemy.now),
      kind: 'signal' as const,
      room: enemy.room.tag,
      peer: enemy.member.id,
    }
    return enemy.letter({ ...signal, box: enemy.bytes(enemy.below(8_000)) }, agent)
  }),
  'a failure about nobody': kind('unknown-peer', (enemy) => {
    const { member } = enemy
    const failure = {
      ...member.head(enemy.now),
      kind: 'failure' as const,
      room: enemy.room.tag,
      peer: enemy.bytes(32),
    }
    return enemy.letter({ ...failure, reason: 'lost' }, member)
  }),
  'a bounce of the host’s mail': kind('bounce', (enemy) => enemy.bounce),
  'a request from where mail comes back': kind('unreachable', (enemy) =>
    enemy.letter(enemy.gone.request(enemy.now), enemy.gone),
  ),
  'a letter by way of a list': kind('automatic', (enemy) => {
    const agent = enemy.stranger()
    return `List-Id: <games.example.org>\r\n${enemy.letter(agent.request(enemy.now), agent)}`
  }),
  'a vacation notice': kind(
    'automatic',
    (enemy) => `Auto-Submitted: auto-replied\r\n${enemy.mail('I am away.\n')}`,
  ),
  'a forged bounce': kind('automatic', (enemy) =>
    enemy.bounce.replace(/^Message-ID: <.{8}/m, 'Message-ID: <00000000'),
  ),
  'a request from the host itself': kind('automatic', (enemy) => {
    const agent = enemy.stranger()
    return enemy.letter(agent.request(enemy.now, { returnAddress: hostAddress }), agent, {
      from: hostAddress,
    })
  }),
  'a letter with a line lost': kind('mangled', (enemy) =>
    enemy.pick(enemy.old).replace(/^[a-z2-7]{64}\r\n/m, ''),
  ),
  'a letter of a later version': kind('unknown-version', (enemy) =>
    enemy.mail(armored(9, enemy, enemy.bytes(1_072))),
  ),
  'nonsense, well sealed': kind('malformed', (enemy) => sealed(enemy, enemy.bytes(1_024))),
  'CBOR that is none, well sealed': kind('malformed', (enemy) =>
    sealed(enemy, enemy.crypto.pad(concatBytes(Uint8Array.of(1, 0), enemy.bytes(320)), 1_024)),
  ),
  'two letters in a mail': kind('several-letters', (enemy) => {
    const mail = enemy.pick(enemy.old)
    return mail + mail.slice(mail.indexOf('\r\n\r\n'))
  }),
  'a mail beyond the limit': kind('too-big', (enemy) => enemy.raw(`\n${'x'.repeat(300_000)}\n`), 0.3),
  'a header without end': kind('too-big', (enemy) => enemy.raw(`X: ${'y'.repeat(70_000)}\n\nx\n`), 0.3),
  'ten thousand header fields': kind(
    'too-big',
    (enemy) => enemy.raw(`${'X-A: b\n'.repeat(10_000)}\nx\n`),
    0.3,
  ),
  'seven thousand header fields': kind(
    'no-letter',
    (enemy) => enemy.raw(`${'X: b\n'.repeat(7_000)}\nx\n`),
    0.5,
  ),
  'thousands of recipients': kind(
    'no-letter',
    (enemy) => enemy.raw(`Cc: ${'a@b.c, '.repeat(8_000)}d@e.f\n\nx\n`),
    0.5,
  ),
  'two From fields': kind('bad-mail', (enemy) => `From: <other@mail.test>\r\n${enemy.pick(enemy.old)}`, 2),
  'two addresses in From': kind('bad-mail', (enemy) =>
    enemy.pick(enemy.old).replace(/^From: /, 'From: <other@mail.test>, '),
  ),
  'From without end': kind('bad-mail', (enemy) =>
    enemy.pick(enemy.old).replace(/^From: .*/, `From: ${'"'.repeat(999)}`),
  ),
  'multipart in multipart': kind('bad-mail', (enemy) => enemy.raw(multipart(300))),
  'mail in mail': kind('bad-mail', (enemy) => enemy.raw(nested(200))),
  'mail in mail, attached': kind('no-letter', (enemy) =>
    enemy.raw(
      `Content-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n${`--c\n${nested(10)}`.repeat(15)}--c--\n`,
    ),
  ),
  'a thousand parts': kind('bad-mail', (enemy) =>
    enemy.raw(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(1_000)}--b--\n`),
  ),
  'a compressed file that grows': kind('bad-mail', (enemy) =>
    enemy.raw(
      `Content-Type: application/gzip\nContent-Encoding: gzip\nContent-Transfer-Encoding: base64\n\n${'H4sIAAAAAAAAA+3BMQEAAADCoPVPbQ0PoAAAAAAA\n'.repeat(2_000)}`,
    ),
  ),
  'entities without end': kind(
    'no-letter',
    (enemy) => enemy.raw(`Content-Type: text/html\n\n${'&lt;&#x41;&#10;'.repeat(15_000)}\n`),
    0.5,
  ),
  'tags that never end': kind(
    'bad-mail',
    (enemy) => enemy.raw(`Content-Type: text/html\n\n${'<a '.repeat(80_000)}`),
    0.5,
  ),
  'comments that never end': kind(
    'bad-mail',
    (enemy) => enemy.raw(`Content-Type: text/html\n\n${'<!--'.repeat(60_000)}`),
    0.5,
  ),
  'tables in tables': kind(
    'no-letter',
    (enemy) => enemy.raw(`Content-Type: text/html\n\n${'<table><tr><td>'.repeat(15_000)}x`),
    0.5,
  ),
  'begins without end': kind(
    'several-letters',
    (enemy) => enemy.mail('[peerpost letter begins]\n'.repeat(4_000)),
    0.5,
  ),
  'text beyond what is searched': kind('too-big', (enemy) => enemy.mail('abc 123\n'.repeat(20_000)), 0.5),
  'NUL bytes': kind('no-letter', (enemy) => enemy.raw(`X\0: \0\n\n${'\0'.repeat(1_000)}x\n`)),
  'eight-bit noise': kind('no-letter', (enemy) =>
    enemy.raw(`Content-Transfer-Encoding: 8bit\n\nx${Buffer.from(enemy.bytes(2_000)).toString('latin1')}`),
  ),
  'a charset that lies': kind(null, (enemy) =>
    enemy
      .pick(enemy.old)
      .replace(
        /charset=us-ascii/,
        `charset=${enemy.pick(['utf-16', 'utf-7', 'iso-2022-jp', 'x', '"', 'big5', 'utf-32'])}`,
      ),
  ),
  'an encoding that lies': kind(null, (enemy) =>
    enemy
      .pick(enemy.old)
      .replace(
        /^MIME-Version.*/m,
        `Content-Transfer-Encoding: ${enemy.pick(['base64', 'quoted-printable', 'x-uuencode', '7bit, base64'])}`,
      ),
  ),
  'a subject that is almost ours': kind(null, (enemy) =>
    enemy.pick(enemy.old).replace(subject, `${subject}=?utf-8?q??=`),
  ),
}
