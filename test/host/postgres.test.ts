// Several host processes with one PostgreSQL database and one mailbox on a real mail server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { HostGroup, killAtRandom } from './real-host/host-group.ts'

const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)
const skip = lacks('postfix', 'dovecot', 'postgresql')
let cluster: PostgresCluster
if (!skip) {
  before(async () => {
    cluster = await PostgresCluster.start()
  })
  after(() => cluster.stop())
}

test(`80 requests get their one reply each from four processes, killed 6 times at random (seed ${seed})`, {
  skip,
  timeout: 180_000,
}, async () => {
  const random = seededRandom(seed)
  const group = await HostGroup.create(80, await cluster.database())
  try {
    await Promise.all([0, 1, 2, 3].map((place) => group.start(place)))
    await Promise.all([group.sendRequests(), killAtRandom(group, { kills: 6, places: 4, random })])
    await group.waitUntilAnswered(60_000)
    await group.stop()
    group.oneReplyEach()
  } finally {
    await group.cleanUp()
  }
})

test('two processes share the letters, say that PostgreSQL is gone, and go on when it is back', {
  skip,
  timeout: 180_000,
}, async () => {
  const group = await HostGroup.create(60, await cluster.database())
  try {
    await Promise.all([group.start(0), group.start(1)])
    await group.sendRequests(0, 20)
    await cluster.pause()
    await group.sendRequests(20, 40)
    await sleep(3_000)
    for (const trouble of group.lastEvents('trouble'))
      assert.match(JSON.stringify(trouble), /PostgreSQL at .* cannot be reached/)
    await cluster.resume()
    await group.sendRequests(40)
    await group.waitUntilAnswered(60_000)
    const letters = group.eventCounts('letter')
    assert.ok(
      letters.every((count) => count > 0),
      `letters were worked by ${letters}`,
    )
    await group.stop()
    assert.equal(group.oneReplyEach().copies, 0)
  } finally {
    await group.cleanUp()
  }
})
