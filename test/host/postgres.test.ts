// Several host processes on one PostgreSQL and one mailbox of a real mail server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { Crew, killAtRandom } from './real-host/crew.ts'

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
  const crew = await Crew.gather(80, await cluster.database())
  try {
    await Promise.all([0, 1, 2, 3].map((place) => crew.hire(place)))
    await Promise.all([crew.ask(), killAtRandom(crew, { kills: 6, places: 4, random })])
    await crew.finish(60_000)
    await crew.dismiss()
    crew.oneReplyEach()
  } finally {
    await crew.disband()
  }
})

test('two processes share the letters, say that PostgreSQL is gone, and go on when it is back', {
  skip,
  timeout: 180_000,
}, async () => {
  const crew = await Crew.gather(60, await cluster.database())
  try {
    await Promise.all([crew.hire(0), crew.hire(1)])
    await crew.ask(0, 20)
    await cluster.pause()
    await crew.ask(20, 40)
    await sleep(3_000)
    for (const trouble of crew.lastTold('trouble'))
      assert.match(JSON.stringify(trouble), /PostgreSQL at .* cannot be reached/)
    await cluster.resume()
    await crew.ask(40)
    await crew.finish(60_000)
    const letters = crew.told('letter')
    assert.ok(
      letters.every((count) => count > 0),
      `letters were worked by ${letters}`,
    )
    await crew.dismiss()
    assert.equal(crew.oneReplyEach().copies, 0)
  } finally {
    await crew.disband()
  }
})
