// What another host can make this one do, and what it cannot, although its key is in the config.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes } from '../../src/base/bytes.ts'
import { defaultHostSettings } from '../../src/host/settings.ts'
import { requestContent } from '../../src/letter/letter-codec.ts'
import type { IntroductionRequest, Letter, RequestLetter, Statement } from '../../src/letter/letter-types.ts'
import { limits } from '../../src/letter/limits.ts'
import { signLetter } from '../../src/letter/signature.ts'
import { encodeItems, type Item, itemKey, itemVersion } from '../../src/sync/item-version.ts'
import { syncLimits } from '../../src/sync/table-sync.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent, makeHostKeys, makeRoom } from './fakes.ts'
import { type OtherHost, type Stage, withPeerHost } from './virtual-hosts.ts'

const crypto = realCrypto

/** An agent that knows only another host. */
function agentOf(stage: Stage, name: string, room = stage.room): FakeAgent {
  return new FakeAgent(name, makeHostKeys(), room)
}

function statement(agent: FakeAgent, letter: Letter, more: Partial<Statement> = {}): Statement {
  return { signed: signLetter(crypto, letter, agent.identity), flagged: false, ageMs: 1_000, ...more }
}

/** The item for this request in the comparison of two tables. */
function itemOf(request: RequestLetter | undefined): Item {
  assert.ok(request)
  const version = itemVersion(crypto, request.sentAt, requestContent(request))
  return { key: itemKey(crypto, request.room, request.from), version, flagged: false }
}

function entries(stage: Stage): number {
  return stage.host.counters().entries
}

test('a statement of an agent from another host is stored, offered, and flagged as it is there', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  other.sendStatements(stage, statement(ben, ben.request(stage.now), { flagged: true, ageMs: 60_000 }))
  await stage.settle()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(ann)
  assert.ok(reply?.kind === 'reply')
  const [offered] = reply.peers
  assert.deepEqual(offered?.id, ben.id)
  assert.equal(offered?.flagged, true)
  assert.ok(Math.abs((offered?.ageMs ?? 0) - 60_000) < 1_000)
  await stage.stop()
})

test('an agent that knows only another host gets the introduction from that host, at the request of this one', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  other.sendStatements(stage, statement(ben, ben.request(stage.now)))
  await stage.settle()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(1_000)
  const tables = stage.lettersTo(other).filter((letter) => letter.kind === 'table')
  assert.deepEqual(
    tables.flatMap(({ introduce }) => introduce),
    [{ room: stage.room.tag, requester: ann.id, recipient: ben.id, hopsLeft: limits.hostHops }],
  )
  assert.equal(tables[0]?.statements.length, 1, 'with her signed statement')
  assert.deepEqual(stage.lettersTo(ben), [])
  await stage.stop()
})

/** The peers that the host introduced to this agent, in order. */
function introducedTo(stage: Stage, agent: FakeAgent): string[] {
  return stage
    .lettersTo(agent)
    .flatMap((letter) => (letter.kind === 'introduction' ? letter.peers.map(({ nickname }) => nickname) : []))
}

function introductionRequests(stage: Stage, other: OtherHost): IntroductionRequest[] {
  return stage.lettersTo(other).flatMap((letter) => (letter.kind === 'table' ? letter.introduce : []))
}

const hourMs = 3_600_000

test('a peer that another host sends later and an agent that was answered before are introduced to each other', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const ben = agentOf(stage, 'ben')
  other.sendStatements(stage, statement(ben, ben.request(stage.now - hourMs), { ageMs: hourMs }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual(introducedTo(stage, ann), ['ben'])
  assert.deepEqual(introductionRequests(stage, other), [
    { room: stage.room.tag, requester: ann.id, recipient: ben.id, hopsLeft: limits.hostHops },
  ])
  await stage.stop()
})

test('when the reply of another host named no agent that is known here, this host introduces both to each other', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(hourMs)
  // His request names this host, so he knows it.
  const ben = stage.agent('ben')
  other.sendStatements(stage, statement(ben, ben.request(stage.now), { offered: new Uint8Array() }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual(introducedTo(stage, ann), ['ben'])
  assert.deepEqual(introducedTo(stage, ben), ['ann'])
  assert.deepEqual(introductionRequests(stage, other), [])
  await stage.stop()
})

test('agents of which another host offered one to the other are not introduced again', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  const request = ann.request(stage.now)
  stage.deliver(ann.mail(request))
  await stage.settle()
  const ben = stage.agent('ben')
  const offered = encodeItems([itemOf(request)])
  other.sendStatements(stage, statement(ben, ben.request(stage.now), { offered }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual([...introducedTo(stage, ann), ...introducedTo(stage, ben)], [])
  await stage.stop()
})

test('a table with hundreds of entries from another host completes recent replies, and causes no other introduction', async () => {
  const { stage, other } = await withPeerHost()
  const { replyPeers } = defaultHostSettings
  const before = ['amy', 'ann', 'ada'].map((name) => stage.agent(name))
  for (const agent of before) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(hourMs)
  const recent = ['eve', 'eva'].map((name) => stage.agent(name))
  for (const agent of recent) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(1_000)
  const introduced = before.flatMap((agent) => introducedTo(stage, agent)).length
  const requested = introductionRequests(stage, other).length
  const strangers = Array.from({ length: 320 }, (_, index) => agentOf(stage, `stranger${index}`))
  // Every second one sent its request lately, and its reply was full.
  const full = encodeItems(
    Array.from({ length: replyPeers }, (_, index) => itemOf(before[0]?.request(index))),
  )
  const statements = strangers.map((agent, index) => {
    const lately = index % 2 === 0 ? { ageMs: 60_000, offered: full } : { ageMs: hourMs }
    return statement(agent, agent.request(stage.now - lately.ageMs), lately)
  })
  for (let at = 0; at < statements.length; at += 16)
    other.sendStatements(stage, ...statements.slice(at, at + 16))
  await stage.settle()
  await stage.pass(60_000)
  assert.equal(entries(stage), 325)
  assert.equal(before.flatMap((agent) => introducedTo(stage, agent)).length, introduced)
  for (const agent of recent) {
    const letters = stage.lettersTo(agent)
    const reply = letters.find((letter) => letter.kind === 'reply')
    const others = introducedTo(stage, agent).filter((name) => name.startsWith('stranger'))
    assert.ok(others.length > 0)
    assert.ok(others.length + (reply?.peers.length ?? 0) <= replyPeers)
    assert.ok(letters.length <= 4, `${letters.length} letters`)
  }
  assert.ok(introductionRequests(stage, other).length - requested <= recent.length * replyPeers)
  await stage.stop()
})

test('introduction requests with long statements go in as many letters as they need', async () => {
  const { stage, other } = await withPeerHost({ replyPeers: limits.peers })
  const ben = agentOf(stage, 'ben')
  other.sendStatements(stage, statement(ben, ben.request(stage.now)))
  await stage.settle()
  const candidates = Array.from({ length: limits.candidates }, (_, index) => ({
    kind: 'host' as const,
    endpoint: { address: `2001:db8:1:2:3:4:5:${index + 1}`, port: 40_000 },
  }))
  for (let user = 0; user < 16; user++) {
    const agent = stage.agent(`user${user}`)
    stage.deliver(
      agent.mail({ ...agent.request(stage.now), candidates, tcpCandidates: candidates.slice(0, 6) }),
    )
  }
  await stage.settle()
  await stage.pass(2_000)
  assert.equal(
    introductionRequests(stage, other).filter(({ recipient }) => equalBytes(recipient, ben.id)).length,
    16,
  )
  await stage.stop()
})

const badStatements: Readonly<Record<string, (stage: Stage) => Statement>> = {
  'a peer that it invented': (stage) => {
    const nobody = agentOf(stage, 'nobody', { ...makeRoom(), tag: stage.room.tag })
    return statement(nobody, nobody.request(stage.now))
  },
  'a request that it altered': (stage) => {
    const ben = agentOf(stage, 'ben')
    const { signed, ...rest } = statement(ben, ben.request(stage.now))
    return { ...rest, signed: signed.with(100, (signed[100] as number) ^ 1) }
  },
  'a request for a room that is not here': (stage) => {
    const ben = agentOf(stage, 'ben', makeRoom())
    return statement(ben, ben.request(stage.now))
  },
  'a request of the day before': (stage) => {
    const ben = agentOf(stage, 'ben')
    return statement(ben, ben.request(stage.now - 24 * 3_600_000))
  },
  'a request of tomorrow': (stage) => {
    const ben = agentOf(stage, 'ben')
    return statement(ben, ben.request(stage.now + 24 * 3_600_000))
  },
  'an entry that has expired there': (stage) => {
    const ben = agentOf(stage, 'ben')
    return statement(ben, ben.request(stage.now), { ageMs: 13 * 3_600_000 })
  },
  'a leave letter of an agent without an entry': (stage) => {
    const ben = agentOf(stage, 'ben')
    return statement(ben, { ...ben.head(stage.now), kind: 'leave', room: stage.room.tag })
  },
  'a letter of another kind': (stage) => {
    const ben = agentOf(stage, 'ben')
    const failure = { kind: 'failure', room: stage.room.tag, peer: ben.id, reason: 'lost' } as const
    return statement(ben, { ...ben.head(stage.now), ...failure })
  },
  nonsense: () => ({ signed: crypto.randomBytes(700), flagged: false, ageMs: 0 }),
}

for (const [name, make] of Object.entries(badStatements)) {
  test(`a host that sends ${name} changes nothing`, async () => {
    const { stage, other } = await withPeerHost()
    other.sendStatements(stage, make(stage))
    await stage.settle()
    assert.equal(entries(stage), 0)
    assert.deepEqual(stage.drops(), [])
    await stage.stop()
  })
}

test('an older statement has no effect, also after a leave letter', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  const before = statement(ben, ben.request(stage.now - 2_000))
  const since = statement(ben, ben.request(stage.now - 1_000))
  other.sendStatements(stage, since)
  other.sendStatements(stage, before)
  await stage.settle()
  const left = { ...ben.head(stage.now), kind: 'leave', room: stage.room.tag } as const
  other.sendStatements(stage, statement(ben, left))
  await stage.settle()
  assert.equal(entries(stage), 0)
  other.sendStatements(stage, since, before)
  await stage.settle()
  assert.equal(entries(stage), 0)
  await stage.stop()
})

test('a full table takes no statement that is older than its oldest entry', async () => {
  const { stage, other } = await withPeerHost({ capacity: 2 })
  for (const name of ['ann', 'bea']) stage.deliver(stage.agent(name).mailRequest(stage.now))
  await stage.settle()
  const cleo = agentOf(stage, 'cleo')
  other.sendStatements(stage, statement(cleo, cleo.request(stage.now - 3_600_000)))
  await stage.settle()
  const dora = stage.agent('dora')
  stage.deliver(dora.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(dora)
  assert.ok(reply?.kind === 'reply')
  assert.deepEqual(reply.peers.map(({ nickname }) => nickname).sort(), ['ann', 'bea'])
  await stage.stop()
})

test('a letter of another host that comes twice counts once', async () => {
  const { stage, other } = await withPeerHost()
  const mail = other.mail(other.table(stage))
  stage.deliver(mail)
  stage.deliver(mail)
  await stage.settle()
  assert.deepEqual(stage.drops(), ['copy'])
  await stage.stop()
})

test('a host that sends table requests without end gets a bounded number of letters', async () => {
  const { stage, other } = await withPeerHost()
  for (let user = 0; user < 40; user++) stage.deliver(stage.agent(`user${user}`).mailRequest(stage.now))
  await stage.settle()
  const before = stage.lettersTo(other).length
  for (let round = 0; round < 300; round++) {
    const comparison = round % 2 ? { newest: true } : { groups: crypto.randomBytes(384) }
    stage.deliver(other.mail({ ...other.head(stage.now), kind: 'table-request', comparison }))
  }
  await stage.settle()
  await stage.pass(5_000)
  assert.ok(stage.lettersTo(other).length - before <= 70, `${stage.lettersTo(other).length - before}`)
  await stage.stop()
})

test('the mail that compares two tables has at most 4 kB, however many entries they have', async () => {
  const { stage, other } = await withPeerHost()
  for (let user = 0; user < 300; user++) stage.deliver(stage.agent(`user${user}`).mailRequest(stage.now))
  await stage.settle()
  await stage.pass(20 * 60_000)
  const comparisons = stage.sender.sent.filter((mail) => {
    return mail.to[0] === other.address && other.read(mail).kind === 'table-request'
  })
  assert.ok(comparisons.length > 0)
  for (const { raw } of comparisons) assert.ok(raw.length <= 4_096, `${raw.length}`)
  await stage.stop()
})

test('table letters are as long as a letter may be, and no longer', async () => {
  const { stage, other } = await withPeerHost()
  for (let user = 0; user < 80; user++) stage.deliver(stage.agent(`user${user}`).mailRequest(stage.now))
  await stage.settle()
  await stage.pass(10_000)
  const tables = stage.lettersTo(other).filter((letter) => letter.kind === 'table')
  const signed = new Set(tables.flatMap(({ statements }) => statements.map(({ signed }) => signed.join())))
  assert.equal(signed.size, 80)
  for (const { statements } of tables) {
    const bytes = statements.reduce((sum, { signed }) => sum + signed.length, 0)
    assert.ok(bytes <= syncLimits.letterBytes)
  }
  await stage.stop()
})
