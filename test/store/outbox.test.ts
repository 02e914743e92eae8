import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { Outbox } from '../../src/store/outbox.ts'
import { openMemory, userId } from './entries.ts'

function mail(name: string, kind: 'reply' | 'introduction' | 'signal' = 'reply') {
  return {
    messageId: `<${name}@mail.test>`,
    kind,
    recipient: `${name}@mail.test`,
    raw: new Uint8Array([1, 2]),
  }
}

test('replies and signals are urgent, introductions are not, and the longest due comes first', () => {
  const outbox = new Outbox(openMemory(), { capacity: 10 })
  outbox.add(mail('i1', 'introduction'), 1)
  outbox.add(mail('r1'), 2)
  outbox.add(mail('s1', 'signal'), 3)
  outbox.add(mail('r2'), 4)
  const names = (urgency: 'urgent' | 'normal', now: number, limit: number) =>
    outbox.due(urgency, now, limit).map(({ recipient }) => recipient.slice(0, 2))
  assert.deepEqual(names('urgent', 4, 10), ['r1', 's1', 'r2'])
  assert.deepEqual(names('urgent', 4, 1), ['r1'])
  assert.deepEqual(names('normal', 4, 10), ['i1'])
  assert.deepEqual(names('urgent', 0, 10), [])
})

test('a postponed mail keeps its bytes and is due again at its time', () => {
  const outbox = new Outbox(openMemory(), { capacity: 10 })
  outbox.add(mail('r1'), 1)
  const [first] = outbox.due('urgent', 1, 1)
  assert.ok(first)
  outbox.postpone(first.order, 100)
  assert.deepEqual(outbox.due('urgent', 99, 1), [])
  assert.equal(outbox.nextAttemptAfter(99), 100)
  assert.equal(outbox.nextAttemptAfter(100), null)
  assert.deepEqual(outbox.due('urgent', 100, 1), [{ ...first, attempts: 1 }])
  assert.deepEqual(outbox.raw(first), new Uint8Array([1, 2]))
  outbox.drop([first])
  assert.equal(outbox.size, 0)
  assert.equal(outbox.raw(first), null)
})

test('introductions may fill only half of the outbox', () => {
  const outbox = new Outbox(openMemory(), { capacity: 4 })
  assert.equal(outbox.freeSlots('introduction'), 2)
  for (const name of ['a', 'b', 'c']) outbox.add(mail(name), 1)
  assert.equal(outbox.freeSlots('introduction'), 0)
  assert.equal(outbox.freeSlots('reply'), 1)
})

test('a Message-ID can be added only once', () => {
  const outbox = new Outbox(openMemory(), { capacity: 4 })
  outbox.add(mail('a'), 1)
  assert.throws(() => outbox.add(mail('a'), 1), /unique/i)
})

test('after the clock was set back no mail waits too long', () => {
  const outbox = new Outbox(openMemory(), { capacity: 4 })
  outbox.add(mail('a'), 10_000)
  assert.equal(outbox.due('urgent', 50, 10).length, 0)
  while (outbox.clampFuture(50, 60, 1) > 0);
  assert.equal(outbox.due('urgent', 50, 10).length, 1)
  assert.equal(outbox.tooOld(50, 10).length, 1)
})

test('every mail has its own bytes, even if row numbers are used again after a rollback or a drop', () => {
  const database = openMemory()
  const outbox = new Outbox(database, { capacity: 1_000 })
  const add = (byte: number) => outbox.add({ ...mail(`r${byte}`), raw: new Uint8Array([byte]) }, byte)
  const undone = () => {
    for (let byte = 100; byte < 110; byte++) add(byte)
    throw new Error('undone')
  }
  assert.throws(() => database.transaction(undone), /undone/)
  // More mails than the cache keeps.
  for (let byte = 0; byte < 100; byte++) add(byte)
  const last = outbox.due('urgent', 1_000, 1_000).slice(-3)
  outbox.drop(last)
  for (let byte = 97; byte < 100; byte++) add(byte + 50)
  const bytes = outbox.due('urgent', 1_000, 1_000).map((waiting) => outbox.raw(waiting)?.[0])
  assert.deepEqual(bytes, [...Array.from({ length: 97 }, (_, byte) => byte), 147, 148, 149])
  for (const waiting of last) outbox.drop([waiting])
  assert.deepEqual(
    last.map((waiting) => outbox.raw(waiting)),
    [null, null, null],
  )
})

test('the latest reply to an agent replaces the waiting one, and the old row does not affect it', () => {
  const outbox = new Outbox(openMemory(), { capacity: 10 })
  const reply = (name: string, recipient: string) => ({
    messageId: `<${name}@mail.test>`,
    kind: 'reply' as const,
    recipient,
    raw: new TextEncoder().encode(name),
  })
  const [ann, bob] = [userId(1), userId(2)]
  outbox.addLatest(reply('a1', 'ann'), 1, ann)
  outbox.addLatest(reply('b1', 'bob'), 2, bob)
  outbox.add({ ...reply('signal', 'ann'), kind: 'signal' }, 3)
  const before = outbox.due('urgent', 9, 9)
  outbox.addLatest(reply('a2', 'ann'), 4, ann)
  // A reply to another address replaces nothing.
  outbox.addLatest(reply('a3', 'ann2'), 5, ann)
  for (const waiting of before.slice(0, 1)) {
    assert.equal(outbox.raw(waiting), null)
    assert.equal(outbox.drop([waiting]), 0)
  }
  const names = outbox
    .due('urgent', 9, 9)
    .map((waiting) => new TextDecoder().decode(outbox.raw(waiting) ?? undefined))
  assert.deepEqual(names, ['a2', 'b1', 'signal', 'a3'])
  assert.equal(outbox.drop(outbox.due('urgent', 9, 9)), 4)
})

test('if many mails wait, the newest and the oldest alternate', () => {
  const outbox = new Outbox(openMemory(), { capacity: 1_000 })
  for (let at = 1; at <= 500; at++) outbox.add(mail(`r${at}`), at)
  outbox.add(mail('later'), 10_000)
  const names = outbox.due('urgent', 500, 8).map(({ recipient }) => recipient.split('@')[0])
  assert.deepEqual(names, ['r500', 'r499', 'r498', 'r1', 'r497', 'r496', 'r495', 'r2'])
  const sent = new Set<string>()
  for (let mails = outbox.due('urgent', 500, 32); mails.length > 0; mails = outbox.due('urgent', 500, 32)) {
    for (const { messageId } of mails) sent.add(messageId)
    outbox.drop(mails)
  }
  assert.equal(sent.size, 500)
})

test('of many mails in a file the one with the newest request is sent first, even if others were written later', () => {
  const database = openHostDatabase(':memory:')
  const outbox = new Outbox(database, { capacity: 1_000 })
  for (let at = 1; at <= 300; at++) outbox.add(mail(`n${at}`), 600, null, at)
  outbox.add(mail('newest'), 600, null, 700)
  for (let at = 301; at <= 500; at++) outbox.add(mail(`n${at}`), 601, null, at)
  assert.equal(outbox.due('urgent', 601, 8)[0]?.recipient, 'newest@mail.test')
  database.close()
})
