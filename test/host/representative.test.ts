import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import { writeLetter } from '../../src/letter/mail-text.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { type FakeAgent, headerOf, mailText, makeHostKeys, textOf } from './fakes.ts'
import { Representation, type VirtualHost } from './virtual-hosts.ts'

/** How many forwarded letters each worker got. */
function shares({ workers, representative }: Representation): number[] {
  return workers.map(
    ({ card }) => representative.sender.sent.filter(({ to }) => to[0] === card.address).length,
  )
}

function repliesSent({ workers }: Representation): number {
  return workers.reduce((sum, { host }) => sum + (host.counters().mails['reply sent'] ?? 0), 0)
}

async function represented(
  workers: number,
  work: (stage: Representation) => Promise<void>,
  settings: ConstructorParameters<typeof Representation>[1] = {},
): Promise<void> {
  const stage = await new Representation(workers, settings).start()
  try {
    await work(stage)
  } finally {
    await stage.end()
  }
}

/** Opened letters by mail, because opening one is slow and tests read them often. */
const opened = new WeakMap<object, Letter>()

function letterIn(agent: FakeAgent, mail: Parameters<FakeAgent['read']>[0]): Letter {
  const letter = opened.get(mail) ?? agent.read(mail)
  opened.set(mail, letter)
  return letter
}

/** The replies that this agent got, each with the worker that sent it. */
function repliesTo(stage: Representation, agent: FakeAgent) {
  return stage.mailsTo(agent).flatMap(({ worker, mail }) => {
    const letter = letterIn(agent, mail)
    return letter.kind === 'reply' ? [{ worker, mail, letter }] : []
  })
}

test('requests are shared evenly by three workers, and each is answered as one host would', async () => {
  await represented(3, async (stage) => {
    const agents = Array.from({ length: 300 }, (_, index) => stage.agent(`agent${index}`))
    for (const [index, agent] of agents.entries()) {
      stage.post(agent.mailRequest(stage.clock.wallNow()))
      if (index % 50 === 49) await stage.clock.advance(100)
    }
    await stage.until(() => repliesSent(stage) === agents.length, 10)
    for (const share of shares(stage)) assert.ok(share >= 80 && share <= 120, `${shares(stage)}`)
    for (const agent of agents) {
      const replies = repliesTo(stage, agent)
      assert.equal(replies.length, 1)
      assert.equal(
        toHex(replies[0]?.letter.from ?? new Uint8Array()),
        toHex(stage.sharedKeys.identity.publicKey),
      )
    }
    assert.equal(stage.representative.sender.sent.length, agents.length)
  })
})

test('the reply goes straight to the agent and answers its own mail', async () => {
  await represented(3, async (stage) => {
    const ann = stage.agent('ann')
    const request = ann.request(stage.clock.wallNow())
    const mail = ann.mail(request)
    stage.post(mail)
    await stage.until(() => repliesTo(stage, ann).length === 1)
    const [reply] = repliesTo(stage, ann)
    assert.ok(reply)
    assert.equal(reply.letter.kind === 'reply' && toHex(reply.letter.sessionId), toHex(request.session.id))
    assert.equal(
      headerOf(reply.mail, 'In-Reply-To'),
      headerOf({ raw: new TextEncoder().encode(mail) }, 'Message-ID'),
    )
    assert.equal(
      stage.representative.sender.sent.some(({ to }) => to[0] === ann.address),
      false,
    )
  })
})

test('the same agent always goes to the same worker, also after the representative was restarted', async () => {
  await represented(3, async (stage) => {
    const agents = Array.from({ length: 12 }, (_, index) => stage.agent(`agent${index}`))
    const seen = new Map<FakeAgent, VirtualHost>()
    for (let round = 1; round <= 4; round++) {
      if (round === 3) {
        await stage.representative.stop()
        await stage.representative.start()
      }
      for (const agent of agents) stage.post(agent.mailRequest(stage.clock.wallNow()))
      await stage.until(() => agents.every((agent) => repliesTo(stage, agent).length === round))
      for (const agent of agents) {
        const by = new Set(repliesTo(stage, agent).map(({ worker }) => worker))
        assert.equal(by.size, 1)
        const [worker] = by
        assert.ok(worker)
        assert.equal(seen.get(agent) ?? worker, worker)
        seen.set(agent, worker)
      }
    }
    for (const worker of stage.workers) {
      assert.equal([...seen.values()].filter((other) => other === worker).length, 4)
    }
  })
})

test('the agents of a worker that died are answered by the others, and it is used again when it is back', async () => {
  await represented(3, async (stage) => {
    const agents = Array.from({ length: 9 }, (_, index) => stage.agent(`agent${index}`))
    const sendRequests = () => {
      for (const agent of agents) stage.post(agent.mailRequest(stage.clock.wallNow()))
    }
    sendRequests()
    await stage.until(() => agents.every((agent) => repliesTo(stage, agent).length === 1))
    await stage.clock.advance(10_000)
    const [dead] = stage.workers
    assert.ok(dead)
    await dead.stop()
    sendRequests()
    await stage.until(() => agents.every((agent) => repliesTo(stage, agent).length >= 2), 100)
    assert.equal(repliesTo(stage, agents[0] as FakeAgent).at(-1)?.worker === dead, false)
    // The representative now knows that it is dead, so no letter waits for it.
    const before = shares(stage)[0]
    const sentAt = stage.clock.now()
    sendRequests()
    await stage.until(() => agents.every((agent) => repliesTo(stage, agent).length >= 3))
    assert.ok(stage.clock.now() - sentAt < 5_000)
    assert.equal(shares(stage)[0], before)
    await dead.start()
    await stage.clock.advance(10_000)
    const newcomers = Array.from({ length: 3 }, (_, index) => stage.agent(`newcomer${index}`))
    for (const agent of newcomers) stage.post(agent.mailRequest(stage.clock.wallNow()))
    await stage.until(() => newcomers.every((agent) => repliesTo(stage, agent).length === 1))
    assert.ok(newcomers.some((agent) => repliesTo(stage, agent)[0]?.worker === dead))
  })
})

test('the others answer for a worker that stays dead; when it is back it answers no request a second time, and is used again', async () => {
  await represented(3, async (stage) => {
    const agents = Array.from({ length: 24 }, (_, index) => stage.agent(`agent${index}`))
    const regulars = agents.slice(0, 18)
    const newcomers = agents.slice(18)
    const requests: { readonly agent: FakeAgent; readonly messageId: string | undefined }[] = []
    const sendRequests = (senders: readonly FakeAgent[]) => {
      const sent = senders.map((agent) => {
        const mail = agent.mailRequest(stage.clock.wallNow())
        stage.post(mail)
        return { agent, messageId: headerOf({ raw: new TextEncoder().encode(mail) }, 'Message-ID') }
      })
      requests.push(...sent)
      return sent
    }
    /** The workers that answered this request, once for each reply. */
    const workersOf = ({ agent, messageId }: (typeof requests)[number]) =>
      repliesTo(stage, agent).flatMap(({ worker, mail }) =>
        headerOf(mail, 'In-Reply-To') === messageId ? [worker] : [],
      )
    const answered = () => stage.until(() => requests.every((request) => workersOf(request).length > 0), 100)
    const [first] = sendRequests(regulars)
    await answered()
    await stage.clock.advance(10_000)
    const [dead] = workersOf(first as (typeof requests)[number])
    assert.ok(dead)
    dead.kill()
    const meanwhile = sendRequests(regulars)
    await answered()
    assert.ok(meanwhile.every((request) => !workersOf(request).includes(dead)))
    assert.ok(dead.mailbox.mails.length > 0)
    await dead.start()
    // Its mailbox is full of letters that others have answered.
    await stage.clock.advance(30 * 60_000)
    assert.equal(dead.mailbox.mails.length, 0)
    sendRequests(regulars)
    const fresh = sendRequests(newcomers)
    await answered()
    await stage.clock.advance(30 * 60_000)
    for (const request of requests) assert.equal(workersOf(request).length, 1, request.agent.name)
    assert.ok(fresh.some((request) => workersOf(request).includes(dead)))
  })
})

test('a worker whose budget has nothing left for introductions still reports to its representative what it took', async () => {
  await represented(
    1,
    async (stage) => {
      const [worker] = stage.workers as [VirtualHost]
      for (let index = 0; index < 34; index++)
        stage.post(stage.agent(`agent${index}`).mailRequest(stage.clock.wallNow()))
      await stage.until(() => repliesSent(stage) === 34)
      await stage.clock.advance(5_000)
      assert.ok(worker.host.counters().sentInDay >= 30)
      const reportsSent = () =>
        worker.sender.sent.filter(({ to }) => to[0] === stage.representative.card.address).length
      const before = reportsSent()
      stage.post(stage.agent('late').mailRequest(stage.clock.wallNow()))
      await stage.until(() => repliesSent(stage) === 35)
      await stage.clock.advance(10_000)
      assert.ok(reportsSent() > before)
    },
    { perDay: 40 },
  )
})

test('while all workers are dead letters wait, and none is lost', async () => {
  await represented(2, async (stage) => {
    for (const worker of stage.workers) await worker.stop()
    const ann = stage.agent('ann')
    stage.post(ann.mailRequest(stage.clock.wallNow()))
    await stage.clock.advance(30 * 60_000)
    for (const worker of stage.workers) await worker.start()
    await stage.until(() => repliesTo(stage, ann).length > 0)
    await stage.clock.advance(30 * 60_000)
    assert.equal(repliesTo(stage, ann).length, 1)
  })
})

test('a worker that is back asks its representative for what it finds, and answers only what no other worker has', async () => {
  await represented(2, async (stage) => {
    const agents = Array.from({ length: 8 }, (_, index) => stage.agent(`agent${index}`))
    const sendRequests = () => {
      for (const agent of agents) stage.post(agent.mailRequest(stage.clock.wallNow()))
    }
    const answered = (round: number) => () =>
      agents.every((agent) => repliesTo(stage, agent).length === round)
    sendRequests()
    await stage.until(answered(1))
    await stage.clock.advance(10_000)
    const [first, second] = stage.workers as [VirtualHost, VirtualHost]
    await first.stop()
    sendRequests()
    // This letter waits for less than forwardSilenceMs.
    await stage.clock.advance(115_000)
    stage.post((agents[0] as FakeAgent).mailRequest(stage.clock.wallNow()))
    await stage.until(() => agents.every((agent) => repliesTo(stage, agent).length >= 2), 100)
    const replies = () => agents.reduce((sum, agent) => sum + repliesTo(stage, agent).length, 0)
    const before = replies()
    await first.start()
    await stage.clock.advance(30 * 60_000)
    assert.equal(first.mailbox.mails.length, 0)
    assert.equal(replies(), before)
    assert.ok((first.host.counters().letters['request dropped asked-for'] ?? 0) >= 4)
    // A short absence: no other worker has its letters, so it answers them as soon as it has asked.
    await second.stop()
    sendRequests()
    await stage.clock.advance(5_000)
    await second.start()
    await stage.clock.advance(30_000)
    assert.equal(replies(), before + agents.length)
  })
})

test('a worker that is killed after it found or answered letters asks and reports when it is back: it answers each letter once, and soon', async () => {
  await represented(2, async (stage) => {
    const agents = Array.from({ length: 8 }, (_, index) => stage.agent(`agent${index}`))
    const sendRequests = () => {
      for (const agent of agents) stage.post(agent.mailRequest(stage.clock.wallNow()))
    }
    const answered = (round: number) => () =>
      agents.every((agent) => repliesTo(stage, agent).length === round)
    sendRequests()
    await stage.until(answered(1))
    await stage.clock.advance(10_000)
    const [worker] = stage.workers as [VirtualHost, VirtualHost]
    const workerOf = new Map(agents.map((agent) => [agent, repliesTo(stage, agent)[0]?.worker]))
    const deliver = worker.sender.answer
    const withoutReports: typeof deliver = (mail) =>
      mail.to[0] === stage.representative.card.address ? new Promise(() => {}) : deliver(mail)
    // It found the letters, and is killed before it can ask for them.
    await worker.stop()
    sendRequests()
    await stage.until(() => worker.mailbox.mails.length > 0)
    worker.sender.answer = withoutReports
    await worker.start()
    const requested = () => worker.host.counters().letters['request dropped asked-for'] ?? 0
    await stage.until(() => requested() > 0 && worker.mailbox.mails.length === 0)
    worker.kill()
    worker.sender.answer = deliver
    await worker.start()
    const killedAt = stage.clock.now()
    await stage.until(answered(2))
    assert.ok(stage.clock.now() - killedAt < 10_000)
    // It answered the letters, and is killed before its report.
    await stage.clock.advance(30 * 60_000)
    worker.sender.answer = withoutReports
    sendRequests()
    await stage.until(answered(3))
    worker.kill()
    worker.sender.answer = deliver
    await worker.start()
    await stage.clock.advance(30 * 60_000)
    for (const agent of agents) {
      const replies = repliesTo(stage, agent)
      // After a kill the same mail may come twice.
      assert.equal(new Set(replies.map(({ mail }) => headerOf(mail, 'Message-ID'))).size, 3)
      for (const reply of replies) assert.equal(reply.worker, workerOf.get(agent))
    }
  })
})

test('a representative that is killed when a worker has asked for a letter sends it as soon as it is back', async () => {
  await represented(1, async (stage) => {
    const [worker] = stage.workers as [VirtualHost]
    const { representative } = stage
    const ann = stage.agent('ann')
    await stage.clock.advance(10_000)
    await worker.stop()
    await stage.clock.advance(10_000)
    stage.post(ann.mailRequest(stage.clock.wallNow()))
    await stage.until(() => worker.mailbox.mails.length > 0)
    // Wait until the mail is marked as sent, or it would be sent twice.
    await stage.clock.advance(2_000)
    representative.onEvent = (event) => {
      if (event.event === 'letter' && event.kind === 'taken') representative.kill()
    }
    await worker.start()
    await stage.until(() => !representative.isUp)
    assert.equal(representative.sender.sent.length, 1)
    representative.onEvent = () => {}
    await representative.start()
    const killedAt = stage.clock.now()
    await stage.until(() => repliesTo(stage, ann).length > 0)
    assert.ok(stage.clock.now() - killedAt < 5_000)
  })
})

test('a forwarded letter that is lost is sent again, and one that comes twice is answered once', async () => {
  await represented(2, async (stage) => {
    const { sender } = stage.representative
    const deliver = sender.answer
    let lost = 0
    sender.answer = (mail) => (lost++ === 0 ? { outcome: 'sent' } : deliver(mail))
    const ann = stage.agent('ann')
    stage.post(ann.mailRequest(stage.clock.wallNow()))
    await stage.until(() => repliesTo(stage, ann).length === 1, 100)
    sender.answer = (mail) => {
      deliver(mail)
      return deliver(mail)
    }
    stage.post(ann.mailRequest(stage.clock.wallNow()))
    await stage.clock.advance(60_000)
    assert.equal(repliesTo(stage, ann).length, 2)
    // The worker reported both, so nothing is sent a third time.
    const sent = sender.sent.length
    await stage.clock.advance(30 * 60_000)
    assert.equal(sender.sent.length, sent)
  })
})

test('agents of different workers are introduced to each other', async () => {
  await represented(3, async (stage) => {
    const ann = stage.agent('ann')
    const ben = stage.agent('ben')
    stage.post(ann.mailRequest(stage.clock.wallNow()))
    await stage.until(() => repliesTo(stage, ann).length === 1)
    await stage.clock.advance(60_000)
    stage.post(ben.mailRequest(stage.clock.wallNow()))
    await stage.until(() => stage.mailsTo(ann).length === 2)
    const [reply] = repliesTo(stage, ben)
    assert.deepEqual(reply?.letter.kind === 'reply' && reply.letter.peers.map(({ nickname }) => nickname), [
      'ann',
    ])
    assert.notEqual(reply?.worker, repliesTo(stage, ann)[0]?.worker)
    const introduction = stage.mailsTo(ann).map(({ mail }) => ann.read(mail))[1]
    assert.equal(introduction?.kind, 'introduction')
    assert.equal(toHex(introduction?.from ?? new Uint8Array()), toHex(stage.sharedKeys.identity.publicKey))
  })
})

test('a request whose return address is not the From of its mail is not answered', async () => {
  await represented(1, async (stage) => {
    const ann = stage.agent('ann')
    stage.post(ann.mail(ann.request(stage.clock.wallNow()), { from: 'mallory@mail.test' }))
    await stage.clock.advance(30_000)
    assert.equal(stage.mailsTo(ann).length, 0)
    const letters = stage.workers[0]?.host.counters().letters ?? {}
    assert.equal(letters['request dropped wrong-return-address'], 1)
  })
})

test('a worker accepts forwarded letters only from its representative, and no letter directly from an agent', async () => {
  await represented(2, async (stage) => {
    const [worker] = stage.workers
    assert.ok(worker)
    const ann = stage.agent('ann')
    worker.mailbox.deliver(ann.mailRequest(stage.clock.wallNow()))
    const stranger = makeHostKeys()
    const forged = writeLetter(
      realCrypto,
      {
        kind: 'forward',
        from: stranger.identity.publicKey,
        to: worker.card.identity,
        id: realCrypto.randomBytes(16),
        sentAt: stage.clock.wallNow(),
        mailFrom: ann.address,
        boxes: realCrypto.randomBytes(32),
      },
      { identity: stranger.identity, recipientKey: worker.card.sealingKey },
    )
    worker.mailbox.deliver(
      mailText({ from: 'mallory@mail.test', text: forged, dateMs: stage.clock.wallNow() }),
    )
    await stage.clock.advance(10_000)
    assert.equal(stage.mailsTo(ann).length, 0)
    const { letters } = worker.host.counters()
    assert.equal(letters['unknown dropped wrong-key'], 1)
    assert.equal(letters['forward dropped unknown-host'], 1)
  })
})

test('the representative forwards no mail that does not look like a letter', async () => {
  await represented(1, async (stage) => {
    const ann = stage.agent('ann')
    const now = stage.clock.wallNow()
    const mails = [
      mailText({ from: 'ann@mail.test', text: 'Hello!\n', dateMs: now }),
      ann.mailRequest(now).replace(/^[a-z2-7]{64}\r\n/m, ''),
      ann.mailRequest(now).replace('Subject:', 'Auto-Submitted: auto-replied\r\nSubject:'),
      ann.mail(ann.request(now), { from: stage.representative.card.address }),
      ann.mail(ann.request(now), { from: stage.workers[0]?.card.address ?? '' }),
    ]
    for (const mail of mails) stage.post(mail)
    await stage.until(() => stage.representative.mailbox.mails.length === 0)
    assert.equal(stage.representative.sender.sent.length, 0)
  })
})

test('a mail that is read twice is forwarded once, and the forwarded mail does not show its sender', async () => {
  await represented(1, async (stage) => {
    const ann = stage.agent('ann')
    const mail = ann.mailRequest(stage.clock.wallNow())
    stage.post(mail)
    stage.post(mail)
    await stage.clock.advance(10_000)
    const [forward, ...more] = stage.representative.sender.sent
    assert.ok(forward)
    assert.equal(more.length, 0)
    assert.equal(textOf(forward).includes(ann.address), false)
  })
})
