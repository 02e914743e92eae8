// One mailbox with several readers: each sees only its own mails, and no mail is lost or removed too early.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Mailbox, MailboxHandlers } from '../../src/mail/mailbox.ts'
import { SharedMailbox, sharedLimits } from '../../src/mail/shared/shared-mailbox.ts'
import { SharedSender } from '../../src/mail/shared/shared-sender.ts'
import { FakeMailbox, FakeSender } from '../host/fakes.ts'

const mailFor = (reader: string, number = 0, padding = '') =>
  `From: a@mail.test\r\nTo: both@mail.test\r\nSubject: s\r\n\r\nfor ${reader} ${number} ${padding}\r\n`

function makeShared() {
  const mailbox = new FakeMailbox()
  const shared = new SharedMailbox(() => mailbox)
  const view = (reader: string) => {
    const made = shared.view(reader)
    const open = made.open.bind(made)
    made.open = (handlers) => open({ opens: (text) => text.includes(`for ${reader} `), ...handlers })
    return made
  }
  return { mailbox, shared, view }
}

async function readersOfBoth(hostHandlers: MailboxHandlers = {}) {
  const { mailbox, shared, view } = makeShared()
  const [host, agent] = [view('host'), view('agent')]
  await Promise.all([host.open(hostHandlers), agent.open()])
  return { mailbox, shared, view, host, agent }
}

const texts = async (mailbox: Mailbox, limit = 10, except?: ReadonlySet<string>) =>
  (await mailbox.fetch(limit, except)).map(({ raw }) =>
    /for (\w+ \d+)/.exec(new TextDecoder().decode(raw ?? undefined))?.at(1),
  )

async function takeAll(mailbox: Mailbox): Promise<number> {
  let taken = 0
  for (;;) {
    const mails = await mailbox.fetch(7)
    if (mails.length === 0) return taken
    taken += mails.length
    await mailbox.remove(mails.map(({ ref }) => ref))
  }
}

test('a mail goes to the reader that can open it, and is gone when that reader removes it', async () => {
  const { mailbox, host, agent } = await readersOfBoth()
  mailbox.deliver(mailFor('host', 1))
  mailbox.deliver(mailFor('agent', 2))
  assert.deepEqual(await texts(agent), ['agent 2'])
  assert.deepEqual(await texts(host), ['host 1'])
  const [mail] = await agent.fetch(1)
  await agent.remove([mail?.ref ?? ''])
  assert.equal(mailbox.mails.length, 1)
  assert.deepEqual(await texts(host), ['host 1'])
  assert.deepEqual(await texts(agent), [])
})

test('a mail that no reader can open is shown to both and stays until both have removed it', async () => {
  const { mailbox, host, agent } = await readersOfBoth()
  mailbox.deliver(mailFor('nobody', 1))
  const [seen] = await host.fetch(1)
  await host.remove([seen?.ref ?? ''])
  assert.deepEqual(await texts(host), [])
  assert.deepEqual(await texts(agent), ['nobody 1'])
  const [left] = await agent.fetch(1)
  await agent.remove([left?.ref ?? ''])
  assert.equal(mailbox.mails.length, 0)
})

test('letters of a closed reader wait for its next view', async () => {
  const { mailbox, view, host, agent } = await readersOfBoth()
  await host.close()
  mailbox.deliver(mailFor('host', 1))
  assert.deepEqual(await texts(agent), [])
  const next = view('host')
  await next.open()
  assert.deepEqual(await texts(next), ['host 1'])
})

test('the mailbox is opened once, closed after the last view, and created again for the next one', async () => {
  const made: FakeMailbox[] = []
  const closed: FakeMailbox[] = []
  const shared = new SharedMailbox(() => {
    const mailbox = new FakeMailbox()
    mailbox.close = async () => void closed.push(mailbox)
    made.push(mailbox)
    return mailbox
  })
  const [one, other] = [shared.view('one'), shared.view('other')]
  await Promise.all([one.open(), other.open()])
  await one.close()
  assert.deepEqual([made.length, closed.length], [1, 0])
  await other.close()
  await other.close()
  assert.equal(closed.length, 1)
  await shared.view('one').open()
  assert.equal(made.length, 2)
})

test('a reader that fetches nothing does not delay the other, and gets all its mails later', async () => {
  const { mailbox, host, agent } = await readersOfBoth()
  const padding = 'x'.repeat(200_000)
  for (let number = 0; number < 60; number++) {
    mailbox.deliver(mailFor('host', number, padding))
    mailbox.deliver(mailFor('agent', number))
  }
  assert.ok(60 * padding.length > sharedLimits.bytes)
  assert.equal(await takeAll(agent), 60)
  assert.equal(await takeAll(host), 60)
  assert.equal(mailbox.mails.length, 0)
})

test('a removal that failed can be repeated', async () => {
  const { mailbox, host } = await readersOfBoth()
  mailbox.deliver(mailFor('host', 1))
  const [mail] = await host.fetch(1)
  const remove = mailbox.remove
  mailbox.remove = async () => Promise.reject(new Error('gone'))
  await assert.rejects(host.remove([mail?.ref ?? '']))
  mailbox.remove = remove
  assert.deepEqual(await texts(host), ['host 1'])
  await host.remove([mail?.ref ?? ''])
  assert.equal(mailbox.mails.length, 0)
})

test('with any sequence of deliveries and fetches each mail is seen by its reader and then removed', async () => {
  const step = fc.oneof(
    fc.record({ deliver: fc.constantFrom('host', 'agent', 'nobody') }),
    fc.record({ take: fc.constantFrom('host', 'agent'), limit: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ reopen: fc.constantFrom('host', 'agent') }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { mailbox, view, host, agent } = await readersOfBoth()
      const views: Record<string, Mailbox> = { host, agent }
      const seen: Record<string, Set<unknown>> = { host: new Set(), agent: new Set() }
      const expected: Record<string, string[]> = { host: [], agent: [] }
      let number = 0
      const take = async (reader: string, limit: number) => {
        const mails = (await views[reader]?.fetch(limit)) ?? []
        for (const { raw } of mails)
          seen[reader]?.add(/for (\w+ \d+)/.exec(new TextDecoder().decode(raw ?? undefined))?.at(1))
        await views[reader]?.remove(mails.map(({ ref }) => ref))
        return mails.length
      }
      for (const one of steps) {
        if ('deliver' in one) {
          mailbox.deliver(mailFor(one.deliver, ++number))
          if (one.deliver !== 'nobody') expected[one.deliver]?.push(`${one.deliver} ${number}`)
        } else if ('take' in one) await take(one.take, one.limit)
        else {
          await views[one.reopen]?.close()
          views[one.reopen] = view(one.reopen)
          await views[one.reopen]?.open()
        }
      }
      while ((await take('host', 5)) + (await take('agent', 5)) > 0);
      assert.equal(mailbox.mails.length, 0)
      for (const reader of ['host', 'agent']) {
        for (const mail of expected[reader] ?? []) assert.ok(seen[reader]?.has(mail), `${reader}: ${mail}`)
        const other = reader === 'host' ? 'agent' : 'host'
        for (const mail of seen[reader] ?? []) assert.doesNotMatch(String(mail), new RegExp(`^${other}`))
      }
    }),
  )
})

test('a mail to our own address is handed over, and is sent only to the other recipients', async () => {
  const { shared, host, agent } = await readersOfBoth()
  const smtp = new FakeSender()
  const sender = new SharedSender(() => smtp, 'both@mail.test', shared).view()
  const raw = new TextEncoder().encode(mailFor('host', 1))
  const mail = { from: 'both@mail.test', raw }
  assert.deepEqual(await sender.send({ ...mail, to: ['Both@mail.test'] }), { outcome: 'sent' })
  assert.equal(smtp.tried.length, 0)
  assert.deepEqual(await texts(agent), [])
  assert.equal(await takeAll(host), 1)
  smtp.answer = () => ({ outcome: 'later', reason: 'busy' })
  const both = await sender.send({ ...mail, to: ['both@mail.test', 'other@mail.test'] })
  assert.deepEqual(both, { outcome: 'partly', again: ['other@mail.test'], reason: 'busy' })
  assert.deepEqual(smtp.tried.at(-1)?.to, ['other@mail.test'])
  assert.equal(await takeAll(host), 1)
})

test('when too many mails wait the sender must try again', async () => {
  const { shared, host } = await readersOfBoth()
  const sender = new SharedSender(() => new FakeSender(), 'both@mail.test', shared).view()
  const raw = new TextEncoder().encode(mailFor('host', 1))
  const send = () => sender.send({ from: 'both@mail.test', to: ['both@mail.test'], raw })
  for (let sent = 0; sent < sharedLimits.handedOver; sent++) assert.equal((await send()).outcome, 'sent')
  assert.equal((await send()).outcome, 'later')
  assert.equal(await takeAll(host), sharedLimits.handedOver)
  assert.equal((await send()).outcome, 'sent')
})

test('a reader that may take the newest first gets all of many mails, and so does the other', async () => {
  const { mailbox, host, agent } = await readersOfBoth({ mayTakeNewest: () => true })
  for (let number = 0; number < 500; number++) mailbox.deliver(mailFor('host', number))
  mailbox.deliver(mailFor('agent', 1))
  assert.equal((await texts(host, 1))[0], 'host 499')
  assert.equal(await takeAll(agent), 1)
  mailbox.deliver(mailFor('host', 500))
  // The fetch also sorts new mails of the other reader.
  assert.deepEqual(await texts(agent), [])
  assert.deepEqual(await texts(host, 1), ['host 500'])
  assert.equal(await takeAll(host), 501)
  assert.equal(mailbox.mails.length, 0)
})
