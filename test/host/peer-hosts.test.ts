// What another host can make this one do, and what it cannot, though its key is in the config.

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

/** An agent that asked another host. */
function agentOf(stage: Stage, name: string, room = stage.room): FakeAgent {
  return new FakeAgent(name, makeHostKeys(), room)
}

function statement(agent: FakeAgent, letter: Letter, more: Partial<Statement> = {}): Statement {
  return { signed: signLetter(crypto, letter, agent.identity), flagged: false, ageMs: 1_000, ...more }
}

/** As a host tells of this request in a comparison. */
function itemOf(request: RequestLetter | undefined): Item {
  assert.ok(request)
  const version = itemVersion(crypto, request.sentAt, requestContent(request))
  return { key: itemKey(crypto, request.room, request.from), version, flagged: false }
}

function entries(stage: Stage): number {
  return stage.host.counters().entries
}

test('what an agent signed for another host is taken, offered, and flagged as it is there', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  other.tell(stage, statement(ben, ben.request(stage.now), { flagged: true, ageMs: 60_000 }))
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

test('an agent that knows only another host is introduced by that host, which is told who asked', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  other.tell(stage, statement(ben, ben.request(stage.now)))
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
  assert.equal(tables[0]?.statements.length, 1, 'with what she signed')
  assert.deepEqual(stage.lettersTo(ben), [])
  await stage.stop()
})

/** Whom this agent was told of by the host, in order. */
function introducedTo(stage: Stage, agent: FakeAgent): string[] {
  return stage
    .lettersTo(agent)
    .flatMap((letter) => (letter.kind === 'introduction' ? letter.peers.map(({ nickname }) => nickname) : []))
}

function wishes(stage: Stage, other: OtherHost): IntroductionRequest[] {
  return stage.lettersTo(other).flatMap((letter) => (letter.kind === 'table' ? letter.introduce : []))
}

const hourMs = 3_600_000

test('who was answered before the host heard of somebody is told of him, and he of her by his own host', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const ben = agentOf(stage, 'ben')
  other.tell(stage, statement(ben, ben.request(stage.now - hourMs), { ageMs: hourMs }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual(introducedTo(stage, ann), ['ben'])
  assert.deepEqual(wishes(stage, other), [
    { room: stage.room.tag, requester: ann.id, recipient: ben.id, hopsLeft: limits.hostHops },
  ])
  await stage.stop()
})

test('whom another host answered without naming an agent that is known here, both are told of each other', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(hourMs)
  // His request names us, so that he knows us.
  const ben = stage.agent('ben')
  other.tell(stage, statement(ben, ben.request(stage.now), { offered: new Uint8Array() }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual(introducedTo(stage, ann), ['ben'])
  assert.deepEqual(introducedTo(stage, ben), ['ann'])
  assert.deepEqual(wishes(stage, other), [])
  await stage.stop()
})

test('agents that another host has told of each other are left alone', async () => {
  const { stage, other } = await withPeerHost()
  const ann = stage.agent('ann')
  const asked = ann.request(stage.now)
  stage.deliver(ann.mail(asked))
  await stage.settle()
  const ben = stage.agent('ben')
  const offered = encodeItems([itemOf(asked)])
  other.tell(stage, statement(ben, ben.request(stage.now), { offered }))
  await stage.settle()
  await stage.pass(1_000)
  assert.deepEqual([...introducedTo(stage, ann), ...introducedTo(stage, ben)], [])
  await stage.stop()
})

test('a table of hundreds that another host tells completes the answers of those who asked lately, and causes no other introduction', async () => {
  const { stage, other } = await withPeerHost()
  const { replyPeers } = defaultHostSettings
  const before = ['amy', 'ann', 'ada'].map((name) => stage.agent(name))
  for (const agent of before) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(hourMs)
  const now = ['eve', 'eva'].map((name) => stage.agent(name))
  for (const agent of now) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  await stage.pass(1_000)
  const told = before.flatMap((agent) => introducedTo(stage, agent)).length
  const askedFor = wishes(stage, other).length
  const strangers = Array.from({ length: 320 }, (_, index) => agentOf(stage, `stranger${index}`))
  // Every second one asked lately, and was offered as many as a reply holds.
  const full = encodeItems(
    Array.from({ length: replyPeers }, (_, index) => itemOf(before[0]?.request(index))),
  )
  const statements = strangers.map((agent, index) => {
    const lately = index % 2 === 0 ? { ageMs: 60_000, offered: full } : { ageMs: hourMs }
    return statement(agent, agent.request(stage.now - lately.ageMs), lately)
  })
  for (let at = 0; at < statements.length; at += 16) other.tell(stage, ...statements.slice(at, at + 16))
  await stage.settle()
  await stage.pass(60_000)
  assert.equal(entries(stage), 325)
  assert.equal(before.flatMap((agent) => introducedTo(stage, agent)).length, told)
  for (const agent of now) {
    const letters = stage.lettersTo(agent)
    const reply = letters.find((letter) => letter.kind === 'reply')
    const others = introducedTo(stage, agent).filter((name) => name.startsWith('stranger'))
    assert.ok(others.length > 0)
    assert.ok(others.length + (reply?.peers.length ?? 0) <= replyPeers)
    assert.ok(letters.length <= 4, `${letters.length} letters`)
  }
  assert.ok(wishes(stage, other).length - askedFor <= now.length * replyPeers)
  await stage.stop()
})

test('wishes of agents whose requests are long go in as many letters as they need', async () => {
  const { stage, other } = await withPeerHost({ replyPeers: limits.peers })
  const ben = agentOf(stage, 'ben')
  other.tell(stage, statement(ben, ben.request(stage.now)))
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
  assert.equal(wishes(stage, other).filter(({ recipient }) => equalBytes(recipient, ben.id)).length, 16)
  await stage.stop()
})

const lies: Readonly<Record<string, (stage: Stage) => Statement>> = {
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
  'a goodbye of somebody who never came': (stage) => {
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

for (const [name, make] of Object.entries(lies)) {
  test(`a host that tells ${name} changes nothing`, async () => {
    const { stage, other } = await withPeerHost()
    other.tell(stage, make(stage))
    await stage.settle()
    assert.equal(entries(stage), 0)
    assert.deepEqual(stage.drops(), [])
    await stage.stop()
  })
}

test('an older statement told again, and a goodbye taken back by an older request, have no effect', async () => {
  const { stage, other } = await withPeerHost()
  const ben = agentOf(stage, 'ben')
  const before = statement(ben, ben.request(stage.now - 2_000))
  const since = statement(ben, ben.request(stage.now - 1_000))
  other.tell(stage, since)
  other.tell(stage, before)
  await stage.settle()
  const left = { ...ben.head(stage.now), kind: 'leave', room: stage.room.tag } as const
  other.tell(stage, statement(ben, left))
  await stage.settle()
  assert.equal(entries(stage), 0)
  other.tell(stage, since, before)
  await stage.settle()
  assert.equal(entries(stage), 0)
  await stage.stop()
})

test('a full table takes nothing that is older than its oldest entry', async () => {
  const { stage, other } = await withPeerHost({ capacity: 2 })
  for (const name of ['ann', 'bea']) stage.deliver(stage.agent(name).mailRequest(stage.now))
  await stage.settle()
  const cleo = agentOf(stage, 'cleo')
  other.tell(stage, statement(cleo, cleo.request(stage.now - 3_600_000)))
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

test('a host that asks without end is answered with a bounded number of letters', async () => {
  const { stage, other } = await withPeerHost()
  for (let user = 0; user < 40; user++) stage.deliver(stage.agent(`user${user}`).mailRequest(stage.now))
  await stage.settle()
  const before = stage.lettersTo(other).length
  for (let asked = 0; asked < 300; asked++) {
    const comparison = asked % 2 ? { newest: true } : { groups: crypto.randomBytes(384) }
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
  const told = new Set(tables.flatMap(({ statements }) => statements.map(({ signed }) => signed.join())))
  assert.equal(told.size, 80)
  for (const { statements } of tables) {
    const bytes = statements.reduce((sum, { signed }) => sum + signed.length, 0)
    assert.ok(bytes <= syncLimits.letterBytes)
  }
  await stage.stop()
})
