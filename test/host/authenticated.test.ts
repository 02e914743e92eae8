// A host that accepts only mails that its receiving mail server authenticated (RFC 8601).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { hostAddress } from './fakes.ts'
import { planHostAt, runHostAt } from './real-host/running-host.ts'
import { Stage } from './virtual-hosts.ts'

const border = 'mx.mail.test'
const passes = `${border}; dmarc=pass header.from=mail.test`
const field = (text: string) => `Authentication-Results: ${text}\r\n`

test('a mail that the border server did not authenticate is dropped for its own reason without an answer, one that it did is answered', async () => {
  const stage = await new Stage({ trustedAuthservId: border }).start()
  const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((name) => stage.agent(name))
  assert.ok(ann && bob && cid)
  stage.deliver(field(passes) + ann.mailRequest(stage.now))
  stage.deliver(bob.mailRequest(stage.now))
  stage.deliver(field(`${border}; dmarc=fail`) + field(passes) + cid.mailRequest(stage.now))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['unauthenticated', 'unauthenticated'])
  assert.deepEqual(
    stage.sender.sent.map(({ to }) => to[0]),
    [ann.address],
  )
  assert.equal(stage.host.counters().entries, 1)
  await stage.stop()
})

test('without the setting these fields have no effect', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(field(`${border}; dmarc=fail`) + ann.mailRequest(stage.now))
  await stage.settle()
  assert.deepEqual([stage.drops(), stage.sender.sent.length], [[], 1])
  await stage.stop()
})

test('on a real mail server, only mails that it authenticated are answered, whatever a sender writes into the header', {
  skip: lacks('postfix', 'dovecot'),
  timeout: 60_000,
}, async (context) => {
  const defer = deferIn(context)
  const office = await startMailServers({
    authenticationResults: { ann: passes, cid: `${border}; dmarc=fail header.from=mail.test` },
  })
  defer(() => office.stop())
  const host = await runHostAt(office, planHostAt(office, 'host', { trustedAuthservId: border }))
  defer(() => host.stop())
  const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((name) => host.agent(name))
  assert.ok(ann && bob && cid)
  await host.post(bob.address, hostAddress, bob.mailRequest(Date.now()))
  await host.post(cid.address, hostAddress, field(passes) + cid.mailRequest(Date.now()))
  await host.until((event) => event.event === 'letter' && event.outcome === 'dropped', 2)
  await host.post(ann.address, hostAddress, ann.mailRequest(Date.now()))
  await host.until((event) => event.event === 'sent')
  const reasons = host.events.flatMap((event) =>
    event.event === 'letter' ? [event.outcome === 'dropped' ? event.reason : event.outcome] : [],
  )
  assert.deepEqual(reasons, ['unauthenticated', 'unauthenticated', 'accepted'])
})
